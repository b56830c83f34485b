"""Against whom: other implementations, each optional, each behind the same call as ours.

One file a kind of operation; in each, the adapters first, then the table of its peers.
"""

from benchmarks.peers import dilations, losses, metrics, steps, thinning, tubes
from benchmarks.peers.peer import Function, Peer

__all__ = ["PEERS", "Function", "Peer"]

PEERS: tuple[Peer, ...] = (
    *thinning.PEERS,
    *dilations.PEERS,
    *tubes.PEERS,
    *losses.PEERS,
    *metrics.PEERS,
    *steps.PEERS,
)
