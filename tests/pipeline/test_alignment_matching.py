"""Link extraction: each method against a hand example, a law or another tool's files."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from pipeline.alignment.matching import METHODS, MatchSettings, extract_links, link_mask, symmetrise
from pipeline.corpus.link_formats import read_links_file
from pipeline.corpus.pharaoh import LinkForm
from pipeline.corpus.word_files import read_lengths
from pipeline.errors import PipelineError

EQUIVARIANT = ("argmax_src", "argmax_tgt", "intersection", "union", "itermax", "mwmf", "transport")
SIMILARITY = np.array([[0.9, 0.8, 0.1], [0.7, 0.1, 0.2], [0.3, 0.2, 0.15]])


@st.composite
def matrices(draw, max_words=7):
    shape = draw(st.integers(1, max_words)), draw(st.integers(1, max_words))
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape)


def pairs(links):
    return [tuple(link) for link in links.tolist()]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("argmax_src", [(0, 0), (1, 0), (2, 0)]),
        ("argmax_tgt", [(0, 0), (0, 1), (1, 2)]),
        ("intersection", [(0, 0)]),
        ("union", [(0, 0), (0, 1), (1, 0), (1, 2), (2, 0)]),
        ("transport", [(0, 1), (1, 0), (2, 2)]),
        ("mwmf", [(0, 1), (1, 0), (2, 2)]),
        # round 2: the words 0 count 0.9 and (0, 0) is out; 0.72 for (0, 1) and 0.63 for (1, 0) are mutual
        ("itermax", [(0, 0), (0, 1), (1, 0)]),
    ],
)
def test_methods_by_hand(method, expected):
    assert pairs(extract_links(SIMILARITY, method)) == expected


def test_every_method_finds_a_clear_permutation(rng):
    order = rng.permutation(8)
    similarity = np.full((8, 8), 0.05) + 0.01 * rng.random((8, 8))
    similarity[np.arange(8), order] = 0.95
    whole = MatchSettings(share=1.0)
    for method in METHODS:
        assert pairs(extract_links(similarity, method, settings=whole)) == list(enumerate(order)), method
        assert pairs(extract_links(1 - similarity, method, kind="cost", settings=whole)) == list(enumerate(order)), (
            method
        )


@pytest.mark.parametrize("method", EQUIVARIANT)
@given(matrix=matrices(), seed=st.integers(0, 2**32 - 1))
def test_permuting_words_permutes_links(method, matrix, seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(matrix.shape[0]), rng.permutation(matrix.shape[1])
    np.testing.assert_array_equal(
        link_mask(matrix[rows][:, columns], method), link_mask(matrix, method)[rows][:, columns]
    )


@pytest.mark.parametrize("method", [*EQUIVARIANT, "partial"])
@given(matrix=matrices())
def test_swapping_sides_transposes_links(method, matrix):
    swapped = {"argmax_src": "argmax_tgt", "argmax_tgt": "argmax_src"}.get(method, method)
    np.testing.assert_array_equal(link_mask(matrix.T, swapped), link_mask(matrix, method).T)


@given(matrices(max_words=5))
def test_transport_is_the_best_of_all_one_to_one_links(matrix):
    mask = link_mask(matrix, "transport")
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    best = max(short[range(len(short)), p].sum() for p in permutations(range(short.shape[1]), len(short)))
    assert matrix[mask].sum() == pytest.approx(best)
    assert mask.sum() == min(matrix.shape)
    assert mask.sum(0).max() == mask.sum(1).max() == 1


def test_mwmf_leaves_words_out_that_only_cost():
    similarity = np.array([[0.5, -0.2], [-0.1, -0.3]])
    assert pairs(extract_links(similarity, "mwmf")) == [(0, 0)]
    assert pairs(extract_links(similarity, "transport")) == [(0, 0), (1, 1)]


@given(matrices())
def test_itermax_holds_the_intersection_and_one_round_is_the_intersection(matrix):
    mutual = link_mask(matrix, "intersection")
    assert (link_mask(matrix, "itermax") >= mutual).all()
    np.testing.assert_array_equal(link_mask(matrix, "itermax", settings=MatchSettings(rounds=1)), mutual)


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_partial_transport_finds_the_best_links_of_fewer_words(n, seed):
    similarity = np.random.default_rng(seed).random((n, n))
    all_words, one_less = (MatchSettings(share=share) for share in (1.0, (n - 1) / n))
    np.testing.assert_array_equal(
        link_mask(similarity, "partial", settings=all_words), link_mask(similarity, "transport")
    )
    mask = link_mask(similarity, "partial", settings=one_less)
    best = max(
        similarity[rows, columns].sum()
        for rows in permutations(range(n), n - 1)
        for columns in combinations(range(n), n - 1)
    )
    assert mask.sum() == n - 1
    assert similarity[mask].sum() == pytest.approx(best)


def test_partial_transport_drops_the_dearest_word():
    cost = np.array([[0.0, 5, 5, 5], [5, 0.1, 5, 5], [5, 5, 0.2, 5], [5, 5, 5, 4]])
    three_of_four = MatchSettings(share=0.75)
    assert pairs(extract_links(cost, "partial", kind="cost", settings=three_of_four)) == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]


def test_unbalanced_transport_leaves_out_a_word_without_a_translation():
    cost = np.array([[0.0, 1, 1], [1, 0.0, 1], [1, 1, 1]])
    loose = MatchSettings(reg=0.02, reg_marginal=0.2)
    assert pairs(extract_links(cost, "unbalanced", kind="cost", settings=loose)) == [(0, 0), (1, 1)]


def test_entropic_transport_goes_to_the_exact_one():
    rng = np.random.default_rng(3)
    similarity = rng.random((6, 6))
    sharp = MatchSettings(reg=0.02, threshold=0.5)
    assert pairs(extract_links(similarity, "entropic", settings=sharp)) == pairs(extract_links(similarity, "transport"))


def test_entropic_transport_that_does_not_converge_is_not_hidden(monkeypatch, rng):
    monkeypatch.setattr("pipeline.alignment.matching.MAX_SWEEPS", 3)
    with pytest.raises(PipelineError, match=r"reg: must let the sweeps converge, but 0\.01 leaves.*raise it"):
        extract_links(rng.random((12, 12)), "entropic", settings=MatchSettings(reg=0.01))


def test_equal_costs_are_no_special_case():
    for method in METHODS:
        mask = link_mask(np.ones((3, 4)), method)
        assert mask.shape == (3, 4), method


def test_refusals():
    with pytest.raises(
        PipelineError, match=r"method: must be one of argmax_src, .*softmax_threshold, but it is 'fast'"
    ):
        extract_links(SIMILARITY, "fast")
    with pytest.raises(PipelineError, match=r"kind: must be similarity or cost, but it is 'distance'"):
        extract_links(SIMILARITY, "union", kind="distance")
    with pytest.raises(PipelineError, match=r"matrix: must be finite.*shape \(1, 2\) and 1 entries.*leave the pair"):
        extract_links(np.array([[1.0, np.nan]]), "union")
    with pytest.raises(PipelineError, match=r"matrix: must be finite with at least one word a side.*\(0, 2\)"):
        extract_links(np.empty((0, 2)), "union")
    with pytest.raises(PipelineError, match=r"itermax multiplies similarities.*one is -0\.5; for cosines give"):
        extract_links(np.array([[-0.5, 1.0]]), "itermax")
    with pytest.raises(PipelineError, match=r"method: must be intersection, union, .* but it is 'itermax'"):
        symmetrise(np.ones((1, 1), dtype=bool), np.ones((1, 1), dtype=bool), "itermax")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("alpha", 1.5, "less than or equal to 1"), ("rounds", 0, "greater than or equal to 1"),
        ("threshold", 0.0, "greater than 0"), ("reg", -1.0, "greater than 0"), ("share", 1.1, "less than or equal to 1"),
        ("reg_marginal", 0.0, "greater than 0"), ("free", "none", "'both' or 'either'"),
        ("sweeps", 0, "greater than or equal to 1"), ("temperature", 0.0, "greater than 0"),
        ("softmax_threshold", 1.0, "less than 1"), ("softmax_temperature", -1.0, "greater than 0"),
    ],
)  # fmt: skip
def test_settings_say_what_they_accept(name, value, rule):
    with pytest.raises(PipelineError, match=rf"{name}: should be {rule}, but it is .*; correct it"):
        MatchSettings(**{name: value})


def masks(path, lengths, *, reverse=False):
    found = []
    for links, size in zip(read_links_file(path, LinkForm(0, reverse), lengths=lengths), lengths, strict=True):
        mask = np.zeros(size, dtype=bool)
        mask[tuple(links.sure.T)] = True
        found.append(mask)
    return found


def test_growing_by_hand():
    forward, backward = np.zeros((2, 4, 4), dtype=bool)
    forward[[0, 1, 3], [0, 1, 0]] = True
    backward[[0, 0, 3], [0, 1, 3]] = True
    # (0, 0) is common; (1, 1) touches it, its words are free; (0, 1) has word 0 taken; (3, 3) touches nothing
    assert pairs(np.argwhere(symmetrise(forward, backward, "grow_diagonal"))) == [(0, 0), (1, 1)]
    final = symmetrise(forward, backward, "grow_diagonal_final")
    assert pairs(np.argwhere(final)) == [(0, 0), (1, 1), (3, 3)]
    # symal's rule: one free word is enough, and a word may be linked again
    either = symmetrise(forward, backward, "grow_diagonal", free="either")
    assert pairs(np.argwhere(either)) == [(0, 0), (0, 1), (1, 1)]


@pytest.mark.realdata
@pytest.mark.parametrize("tool", ["fastalign", "giza"])
@pytest.mark.parametrize("method", ["intersection", "union", "grow-diagonal", "grow-diagonal-final"])
def test_symmetrised_files_of_other_tools_are_reproduced_link_by_link(shared_data, tool, method):
    folder = shared_data / "gold" / "hansards"
    lengths = read_lengths(folder / "enfr.src-tgt")
    forward = masks(folder / f"{tool}.test.enfr.talp", lengths)
    backward = masks(folder / f"{tool}.test.enfr.reverse.talp", lengths, reverse=True)
    published = masks(folder / f"{tool}.test.enfr.{method}.talp", lengths)
    for one, other, expected in zip(forward, backward, published, strict=True):
        np.testing.assert_array_equal(symmetrise(one, other, method.replace("-", "_")), expected)


@pytest.mark.parametrize("method", ["transport", "mwmf"])
@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_a_huge_cost_among_small_ones_hides_none_of_them(method, shape, rng):
    for _ in range(20):
        cost = rng.random(shape)
        cost[rng.integers(shape[0]), rng.integers(shape[1])] = 1e32
        ways = permutations(range(shape[1]), shape[0])
        best = min(ways, key=lambda way: sum(cost[i, j] for i, j in enumerate(way)))
        assert extract_links(cost, method, kind="cost").tolist() == [[i, j] for i, j in enumerate(best)]


@pytest.mark.parametrize("huge", [1e12, 1e32, 1e300])
def test_itermax_takes_a_cost_beyond_resolution_for_the_largest_of_the_others(huge, rng):
    found = 0
    for _ in range(50):
        cost = rng.random((5, 6))
        at = rng.integers(5), rng.integers(6)
        cost[at] = 0.0
        cost[at] = cost.max()
        expected = pairs(extract_links(cost, "itermax", kind="cost"))
        found += len(expected) > len(extract_links(cost, "intersection", kind="cost"))
        cost[at] = huge
        assert pairs(extract_links(cost, "itermax", kind="cost")) == expected
    assert found > 10  # the second round, which weighs, has links of its own


def test_itermax_sees_small_costs_beside_words_that_may_not_be_linked(rng):
    cost = rng.random((4, 5))
    barred = np.zeros((6, 8), dtype=bool)
    barred[4:] = barred[:, 5:] = True
    whole = np.full((6, 8), cost.max())
    whole[:4, :5] = cost
    expected = extract_links(whole, "itermax", kind="cost")
    links = extract_links(np.where(barred, 1e32, whole), "itermax", kind="cost")
    assert pairs(links) == pairs(expected)


def test_itermax_reads_costs_as_largest_minus_cost_where_they_are_of_one_size(rng):
    for scale in (1e-6, 1.0, 1e6):
        cost = scale * rng.lognormal(sigma=2.0, size=(6, 7))
        cost[0, 0] = cost[1, 1] = 0.0  # most of the spread lies far above the smallest, as with repeated words
        similarity = extract_links(cost.max() - cost, "itermax")
        assert pairs(extract_links(cost, "itermax", kind="cost")) == pairs(similarity)


@pytest.mark.parametrize("sweeps", [1, 2, 5])
@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_sinkhorn_mutual_is_the_plain_loop(sweeps, temperature, rng):
    for shape in ((1, 1), (3, 5), (6, 4)):
        similarity = rng.random(shape) + 0.01
        rows = similarity ** (1 / temperature)
        for _ in range(sweeps):
            columns = rows / rows.sum(0, keepdims=True)
            rows = columns / columns.sum(1, keepdims=True)
        expected = {(i, int(rows[i].argmax())) for i in range(shape[0])} & {
            (int(columns[:, j].argmax()), j) for j in range(shape[1])
        }
        settings = MatchSettings(sweeps=sweeps, temperature=temperature)
        assert set(map(tuple, extract_links(similarity, "sinkhorn_mutual", settings=settings).tolist())) == expected


def test_sinkhorn_mutual_frees_words_from_one_that_draws_all():
    similarity = np.array([[0.6, 0.3, 0.1], [0.6, 0.1, 0.3], [0.9, 0.05, 0.05]])
    assert extract_links(similarity, "intersection").tolist() == [[2, 0]]
    assert extract_links(similarity, "sinkhorn_mutual").tolist() == [[0, 1], [1, 2], [2, 0]]


@pytest.mark.parametrize("kind", ["similarity", "cost"])
def test_softmax_threshold_by_hand(kind, rng):
    similarity = rng.normal(size=(5, 7))
    below = similarity.max() - similarity  # from the best entry, in units of twice the median at most
    logits = -below / min(below.max(), 2 * np.median(below)) / 0.1
    likely = (softmax(logits, 1) > 0.05) & (softmax(logits, 0) > 0.05)
    matrix = similarity if kind == "similarity" else -similarity
    settings = MatchSettings(softmax_threshold=0.05)
    np.testing.assert_array_equal(link_mask(matrix, "softmax_threshold", kind=kind, settings=settings), likely)
    none = link_mask(matrix, "softmax_threshold", kind=kind, settings=MatchSettings(softmax_threshold=0.999))
    assert none.sum() <= likely.sum()
