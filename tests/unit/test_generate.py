"""Text out of a model: kept keys and values change nothing, sampling keeps its promises."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.errors import SpecError
from gigafactory.run.trainer import generate as generating
from gigafactory.run.trainer import tokenizer
from gigafactory.run.trainer.cached import Cache, extended
from gigafactory.run.trainer.generate import Sampling, generate
from gigafactory.run.trainer.model import Transformer
from gigafactory.run.trainer.weights import begin
from gigafactory.spec.model import Experts, Model

LEARNT = tokenizer.train([Path(tokenizer.__file__).read_text(encoding="utf-8")], 300)
DENSE = Model(
    name="dense", num_layers=2, hidden_size=32, ffn_hidden_size=64, num_heads=4, num_kv_heads=2,
    head_dim=8, vocab_size=300, context_length=64,
)  # fmt: skip
EXPERTS = Model(
    name="experts", num_layers=3, hidden_size=24, ffn_hidden_size=48, num_heads=6, num_kv_heads=1,
    head_dim=4, vocab_size=300, context_length=64, tied_embeddings=True,
    experts=Experts(num_experts=4, top_k=2, ffn_hidden_size=32, shared_ffn_hidden_size=16),
)  # fmt: skip
LEARNED = Model(
    name="learned", num_layers=2, hidden_size=32, ffn_hidden_size=64, num_heads=4, num_kv_heads=4,
    head_dim=8, vocab_size=300, context_length=64, positions="learned", gated=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only wait for each other's threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def made(model: Model) -> Transformer:
    transformer = Transformer(model)
    begin(transformer, seed=3)
    with torch.no_grad():  # larger than at the start, so that tokens matter
        for parameter in transformer.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return transformer.eval()


@pytest.mark.parametrize("model", [DENSE, EXPERTS, LEARNED], ids=lambda model: model.name)
@pytest.mark.parametrize("parts", [[32], [1] * 32, [20, 1, 1, 10]], ids=["whole", "single", "mix"])
def test_kept_keys_and_values_give_the_logits_of_the_whole_model(
    model: Model, parts: list[int]
) -> None:
    transformer = made(model)
    tokens = torch.randint(300, (32,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        wanted = transformer(torch.tensor([tokens]))[0]
    assert wanted.std() > 0.1
    cache, done = Cache(transformer, 64), 0
    for part in parts:
        logits = extended(transformer, cache, tokens[done : done + part])
        done += part
        torch.testing.assert_close(logits, wanted[done - 1], rtol=1e-4, atol=1e-4)


def by_hand(transformer: Transformer, tokens: list[int], count: int) -> list[int]:
    """Return the likeliest tokens, each from the whole model anew."""
    tokens = list(tokens)
    for _ in range(count):
        with torch.no_grad():
            tokens.append(int(transformer(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[-count:]


def test_temperature_0_takes_the_likeliest_token_each_time() -> None:
    transformer = made(EXPERTS)
    prompt = generating.prompt_tokens(LEARNT, "import ")
    wanted = by_hand(transformer, prompt, 20)
    ends = wanted.index(LEARNT.end_of_document) if LEARNT.end_of_document in wanted else 20
    sampling = Sampling(max_tokens=20, temperature=0)
    told = generate(transformer, LEARNT, "import ", sampling, window=64)
    assert LEARNT.decode(wanted[:ends]).startswith(told.text)
    assert told.num_tokens == min(20, ends + 1)


def test_the_same_seed_draws_the_same_text() -> None:
    transformer = made(DENSE)
    one, again, other = (
        generate(transformer, LEARNT, "def", Sampling(max_tokens=30, seed=seed), window=64).text
        for seed in (5, 5, 6)
    )
    assert one == again != other


def test_parts_are_handed_over_as_they_come_and_make_up_the_text() -> None:
    parts: list[str] = []
    told = generate(
        made(DENSE), LEARNT, "x", Sampling(max_tokens=12, seed=1), window=64, on_text=parts.append
    )
    assert len(parts) == told.num_tokens
    assert "".join(parts) == told.text


def test_a_text_may_outgrow_the_window() -> None:
    told = generate(made(DENSE), LEARNT, "long " * 30, Sampling(max_tokens=80, seed=9), window=16)
    assert told.ended_by == "length" or told.num_tokens < 80


def draws(logits: list[float], **how: float) -> Counter[int]:
    sampling = Sampling(max_tokens=1, **how)  # type: ignore[arg-type]
    chance = torch.Generator().manual_seed(0)
    row = torch.tensor(logits)
    return Counter(generating._draw(row, sampling, chance) for _ in range(1_000))


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    found = draws(chances.log().tolist())
    for token, wanted in enumerate(chances.tolist()):
        assert abs(found[token] / 1_000 - wanted) < 4 * (wanted * (1 - wanted) / 1_000) ** 0.5


def test_temperature_sharpens_and_flattens() -> None:
    logits = [2.0, 1.0, 0.0]
    shares = [draws(logits, temperature=t)[0] / 1_000 for t in (0.25, 1.0, 2.0)]
    assert shares == sorted(shares, reverse=True)
    assert draws(logits, temperature=1e-300) == Counter({0: 1_000})


def test_top_k_and_top_p_leave_the_tail_out() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert set(draws(logits, top_k=2)) == {0, 1}
    assert set(draws(logits, top_k=99)) == {0, 1, 2, 3}
    assert set(draws(logits, top_p=0.75)) == {0, 1}
    assert set(draws(logits, top_p=0.81)) == {0, 1, 2}
    assert set(draws(logits, top_p=1e-9)) == {0}


@given(
    st.one_of(
        st.fixed_dictionaries({"max_tokens": st.integers(max_value=0)}),
        st.fixed_dictionaries({"temperature": st.floats(max_value=-1e-9)}),
        st.fixed_dictionaries({"top_p": st.sampled_from([0.0, -1.0, 1.5, float("nan")])}),
        st.fixed_dictionaries({"top_k": st.integers(max_value=-1)}),
    )
)
def test_sampling_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=f"sampling: {next(iter(values))} must "):
        Sampling(**{"max_tokens": 1} | values)  # type: ignore[arg-type]
