"""What a transaction may cost, in wei, by rules that know nothing but numbers."""

from hypothesis import given
from hypothesis import strategies as st

from workers.rules.gas import GWEI, Fees, GasMarket, bumped_fees, first_fees, too_dear, with_room

WEI = st.integers(0, 10**13)


@given(base=WEI, tip=WEI, cap=st.integers(1, 10**14))
def test_the_first_offer_pays_for_the_next_block_and_never_more_than_the_cap(base: int, tip: int, cap: int) -> None:
    fees = first_fees(GasMarket(base, tip), cap_wei=cap)

    if fees is None:
        assert base + tip > cap
    else:
        assert base + tip <= fees.max_fee_wei <= cap
        assert fees.tip_wei <= fees.max_fee_wei


@given(last_fee=st.integers(1, 10**13), tip_part=st.integers(0, 100), base=WEI, market_tip=WEI)
def test_a_bump_is_an_eighth_on_both_fields_and_pays_for_the_next_block(
    last_fee: int, tip_part: int, base: int, market_tip: int
) -> None:
    last = Fees(last_fee, last_fee * tip_part // 100)

    fees = bumped_fees(last, GasMarket(base, market_tip), cap_wei=10**18)

    assert fees is not None
    assert fees.max_fee_wei * 8 >= last.max_fee_wei * 9
    assert fees.tip_wei * 8 >= last.tip_wei * 9
    assert fees.max_fee_wei >= base + fees.tip_wei


def test_a_bump_past_the_cap_is_none() -> None:
    assert bumped_fees(Fees(100 * GWEI, GWEI), GasMarket(GWEI, GWEI), cap_wei=112 * GWEI) is None
    assert bumped_fees(Fees(100 * GWEI, GWEI), GasMarket(GWEI, GWEI), cap_wei=113 * GWEI) is not None


def test_a_mint_is_too_dear_by_its_part_of_the_batch() -> None:
    market = GasMarket(9 * GWEI, GWEI)

    assert not too_dear(market, gas=5_000_000, mints=100, cap_wei=500_000 * GWEI)
    assert too_dear(market, gas=5_000_000, mints=99, cap_wei=500_000 * GWEI)


def test_the_estimate_gets_a_fifth_of_room() -> None:
    assert with_room(100) == 120
