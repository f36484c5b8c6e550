"""Which groups of responses teach anything.

Shape key: N responses, G responses of a group, K groups.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SAME = 1e-8
"""Rewards closer than this are the same."""


def live_responses(reward_N: Float[Tensor, " N"], size: int) -> Bool[Tensor, " N"]:
    """Return which responses teach anything.

    A group whose known rewards are all the same is dropped as a whole; so is a single response
    whose reward is unknown. A response right at the mean of a group that differs is kept.

    Args:
        reward_N: Rewards, group by group.
        size: Responses of a group.
    """
    reward_KG = reward_N.view(-1, size)
    known_KG = ~reward_KG.isnan()
    highest_K = reward_KG.masked_fill(~known_KG, -torch.inf).amax(1)
    lowest_K = reward_KG.masked_fill(~known_KG, torch.inf).amin(1)
    differs_K = (known_KG.sum(1) > 1) & (highest_K - lowest_K > SAME)
    return (differs_K[:, None] & known_KG).flatten()
