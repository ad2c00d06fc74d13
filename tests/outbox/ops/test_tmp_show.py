from tests.outbox.ops.test_shares import *  # noqa
from tests.workers.test_escrow import over
from messages.shares import EscrowDue
def test_show(fleet, place, workers, monkeypatch, capsys):
    a = place.sell(amount_minor=10_001)
    b = place.sell(amount_minor=20_000)
    over(place, b, days=1)
    place.owner.execute("UPDATE recipients SET account_id=NULL WHERE kind='artist'")
    out = ["list: " + fleet("escrow","list").out]
    monkeypatch.setenv("REPLAY_APPROVAL_MINOR","9000")
    r = fleet("escrow","release",a.payment_id,"--reason","the tour is paid ahead","--yes"); out.append("release: "+r.out+r.err)
    import re
    wish = re.search(r"approve (\S+)", r.err+r.out).group(1).rstrip(".")
    r = fleet("escrow","approve",wish,"--operator","bob","--yes"); out.append("approve: "+r.out+r.err)
    place.work()
    out.append("show: "+fleet("escrow","show",a.payment_id).out)
    out.append("recipients: "+fleet("recipients","list").out)
    out.append("recipient: "+fleet("recipients","show",place.artist).out)
    out.append("royalties: "+fleet("royalties","show").out)
    open("/tmp/escrow_out.txt","w").write("\n".join(out))
