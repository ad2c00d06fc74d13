// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// One token for each paid ticket.
///
/// A token id is `series << 192 | hash`, where the series is an event and the hash 192 bits of the ticket's id: the id
/// of a ticket may be what opens a door, so it is never published. The id is known before anything is sent, and minting
/// it again is refused here, whatever else fails (M11).
///
/// The royalty is kept for each series, so that a mint never pays for it and one transaction changes a whole event.
///
/// A ticket that was refunded goes to VOID and stays there. Nothing is burnt: an id that was burnt could be minted again.
contract Tickets is ERC721, AccessControl, Pausable, IERC2981 {
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    address public constant VOID = 0x000000000000000000000000000000000000dEaD;
    uint96 private constant ALL = 10_000;

    struct Royalty {
        address receiver;
        uint96 basisPoints;
    }

    mapping(uint64 series => Royalty) private _royalties;
    string private _base;

    event MintSkipped(uint256 indexed tokenId, address indexed owner);
    event Voided(uint256 indexed tokenId, address indexed from);
    event SeriesRoyalty(uint64 indexed series, address receiver, uint96 basisPoints);

    error LengthsDiffer(uint256 recipients, uint256 tokens);
    error RoyaltyTooHigh(uint96 basisPoints);
    error RoyaltyWithoutReceiver();

    constructor(string memory name_, string memory symbol_, string memory base, address admin)
        ERC721(name_, symbol_)
    {
        _base = base;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(MINTER_ROLE, admin);
    }

    /// Mints each id that has no owner yet and skips the others, so that one duplicate cannot fail ninety-nine tickets.
    /// `_mint` and not `_safeMint`: a receiving contract could otherwise revert everybody's batch.
    function mintBatch(address[] calldata to, uint256[] calldata tokenIds)
        external
        onlyRole(MINTER_ROLE)
        whenNotPaused
    {
        require(to.length == tokenIds.length, LengthsDiffer(to.length, tokenIds.length));
        for (uint256 i = 0; i < tokenIds.length; ++i) {
            address owner = _ownerOf(tokenIds[i]);
            if (owner == address(0)) {
                _mint(to[i], tokenIds[i]);
            } else {
                emit MintSkipped(tokenIds[i], owner);
            }
        }
    }

    /// Mints one id, or reverts when it was minted before.
    function mint(address to, uint256 tokenId) external onlyRole(MINTER_ROLE) whenNotPaused {
        _mint(to, tokenId);
    }

    /// Sends refunded tickets to VOID, whoever holds them; one that is there already is left alone. An id that was
    /// never minted reverts.
    function voidBatch(uint256[] calldata tokenIds) external onlyRole(MINTER_ROLE) whenNotPaused {
        for (uint256 i = 0; i < tokenIds.length; ++i) {
            address from = _requireOwned(tokenIds[i]);
            if (from != VOID) {
                _update(VOID, tokenIds[i], address(0));
                emit Voided(tokenIds[i], from);
            }
        }
    }

    function setSeriesRoyalty(uint64 series, address receiver, uint96 basisPoints) external onlyRole(MINTER_ROLE) {
        require(basisPoints <= ALL, RoyaltyTooHigh(basisPoints));
        require(receiver != address(0) || basisPoints == 0, RoyaltyWithoutReceiver());
        _royalties[series] = Royalty(receiver, basisPoints);
        emit SeriesRoyalty(series, receiver, basisPoints);
    }

    function seriesRoyalty(uint64 series) external view returns (address receiver, uint96 basisPoints) {
        Royalty memory royalty = _royalties[series];
        return (royalty.receiver, royalty.basisPoints);
    }

    /// ERC-2981.
    function royaltyInfo(uint256 tokenId, uint256 salePrice) external view returns (address, uint256) {
        Royalty memory royalty = _royalties[uint64(tokenId >> 192)];
        return (royalty.receiver, salePrice * royalty.basisPoints / ALL);
    }

    /// The owner of each id, or zero: what is asked before anything is sent.
    function ownerOrZero(uint256[] calldata tokenIds) external view returns (address[] memory owners) {
        owners = new address[](tokenIds.length);
        for (uint256 i = 0; i < tokenIds.length; ++i) {
            owners[i] = _ownerOf(tokenIds[i]);
        }
    }

    function pause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(ERC721, AccessControl, IERC165)
        returns (bool)
    {
        return interfaceId == type(IERC2981).interfaceId || super.supportsInterface(interfaceId);
    }

    function _baseURI() internal view override returns (string memory) {
        return _base;
    }
}
