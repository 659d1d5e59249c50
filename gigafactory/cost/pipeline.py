"""Pipeline schedules: how many layers a stage holds, how long it idles, what it keeps in flight.

Closed forms of one-forward-one-backward and its interleaved variant.
Source: Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters",
section 2.2; memory of the interleaved schedule: Korthikanti et al. 2022, section 4.2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gigafactory.cost.columns import Column


def stage_layers(layers: Column, pp: Column, stage: Column) -> Column:
    """Return the layers of one stage; pp need not divide the layers.

    Where layers are missing for even stages, the last stage does without one first and then the
    first stage, where logits and embedding take a layer's slot (Llama 3: 126 layers on 16
    stages); further ones go missing from the end, one a stage.

    >>> [float(stage_layers(126, 16, s)) for s in (0, 1, 15)]
    [7.0, 8.0, 7.0]
    """
    full = np.ceil(layers / pp - 1e-9)
    missing = full * pp - layers
    last = (stage == pp - 1) & (missing >= 1)
    first = (stage == 0) & (missing >= 2) & (pp > 1)
    inner = (stage > 0) & (stage < pp - 1) & (stage >= pp + 1 - missing)
    fewer: Column = np.where(last | first | inner, 1.0, 0.0)
    return full - fewer


def microbatches_in_flight(pp: Column, vpp: Column, microbatches: Column, stage: Column) -> Column:
    """Return how many microbatches' activations of a whole stage are kept at once.

    1F1B keeps pp - stage; interleaving keeps (pp - 1)/(pp vpp) of a pipeline more on stage 0.

    >>> float(microbatches_in_flight(8, 3, 64, 0)), float(microbatches_in_flight(8, 1, 64, 7))
    (10.333333333333334, 1.0)
    """
    plain = pp - stage
    interleaved = (2.0 * (pp - stage - 1.0) + (vpp - 1.0) * pp + 1.0) / vpp
    # Narayanan's warm-up: 2 (pp - stage - 1) + (vpp - 1) pp chunks, plus the one in hand.
    kept = np.where(vpp > 1, interleaved, plain)
    return np.minimum(kept, microbatches)


def pipeline_time_s(
    slowest_s: Column, mean_s: Column, pp: Column, vpp: Column, microbatches: Column
) -> Column:
    """Return the seconds of all microbatches through the pipeline, fill and drain included.

    The slowest stage works on every microbatch; the (pp - 1) others are filled and drained at
    their mean time, which interleaving cuts by vpp.

    >>> float(pipeline_time_s(1.0, 1.0, 4, 1, 8)), float(pipeline_time_s(1.0, 1.0, 4, 2, 8))
    (11.0, 9.5)
    """
    return microbatches * slowest_s + (pp - 1.0) / vpp * mean_s


def slowest_stage_s(first_s: Column, inner_s: Column, last_s: Column, pp: Column) -> Column:
    """Return the seconds of a microbatch on the stage that all others wait for.

    >>> float(slowest_stage_s(3.0, 4.0, 3.0, 2)), float(slowest_stage_s(3.0, 4.0, 3.0, 3))
    (3.0, 4.0)
    """
    slowest = np.maximum(first_s, last_s)
    return np.where(pp > 2, np.maximum(slowest, inner_s), slowest)


def uneven_pipeline_time_s(
    first_s: Column,
    inner_s: Column,
    last_s: Column,
    *,
    forward_share: Column,
    pp: Column,
    vpp: Column,
    microbatches: Column,
) -> Column:
    """Return `pipeline_time_s` for a first and last stage that differ from the ones between.

    A short first stage shortens fill and drain by what it lacks. A short last stage hands the
    first results back earlier and the last ones as well; interleaved, by a chunk's two passes at
    most. Found by comparing with `schedule.replay`, with which it agrees within 1 % at two
    microbatches per stage or more and at most two missing layers. Inner stages count as alike.

    Args:
        first_s: Seconds of a microbatch on the first stage, both passes.
        inner_s: The same on a stage with all its layers and no ends.
        last_s: The same on the last stage.
        forward_share: Forward over both passes.
        pp: Stages.
        vpp: Chunks of each stage.
        microbatches: Microbatches of the step.

    >>> float(uneven_pipeline_time_s(
    ...     3.0, 3.0, 3.0, forward_share=1 / 3, pp=4, vpp=1, microbatches=8))
    33.0
    """
    slowest = slowest_stage_s(first_s, inner_s, last_s, pp)
    lacks = np.maximum(inner_s - last_s, 0.0)
    forward, backward = inner_s * forward_share, inner_s * (1.0 - forward_share)
    plain = np.minimum(lacks, forward) + np.minimum(lacks, backward)
    ahead = np.minimum(2.0 * forward / vpp + lacks, inner_s / vpp)
    saved = np.where(vpp > 1, np.minimum(microbatches * lacks, ahead), plain)
    saved = np.where(pp > 1, saved + np.maximum(inner_s - first_s, 0.0), 0.0)
    return pipeline_time_s(slowest, inner_s, pp, vpp, microbatches) - saved
