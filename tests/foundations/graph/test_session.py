"""Running a graph: what is fed and fetched, what runs and in which order, memory and threads."""

from __future__ import annotations

import threading
import tracemalloc
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simplecell.graph as tf
from simplecell.foundations.graph.plan import Plan, make_plan
from simplecell.foundations.graph.running import LIGHT, Choice, SideBySide, in_order
from simplecell.foundations.graph.state import State
from simplecell.foundations.graph.tensor import KINDS, apply, define, like_first


@pytest.fixture(autouse=True)
def graph() -> Iterator[tf.Graph]:
    with tf.Graph().as_default() as made:
        yield made


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """An operation that tells when it runs, and what it told."""
    told: list[str] = []

    def compute(x: Any, mark: str) -> Any:
        told.append(mark)
        return x

    define("Telling", like_first, compute, view=True)
    yield told
    del KINDS["Telling"]


def telling(x: tf.Tensor, mark: str) -> tf.Tensor:
    return apply("Telling", [x], {"mark": mark})


# fetches and feeds


def test_fetches_come_back_in_their_form() -> None:
    x = tf.placeholder("float")
    pair = namedtuple("pair", "one other")
    with tf.Session() as session:
        feed = {x: 2}
        assert session.run(x, feed) == 2
        assert session.run([x, x * x], feed) == [2, 4]
        assert session.run((x, [x]), feed) == (2, [2])
        assert session.run({"a": x, "b": {"c": x + 1}}, feed) == {"a": 2, "b": {"c": 3}}
        assert session.run(pair(x, x * 3), feed) == pair(2, 6)
        assert session.run([], feed) == []
        assert session.run([x.name, x.op, x.op.name, tf.no_op()], feed) == [2, None, None, None]
        for wrong in (3, None, [x, 1.5]):
            with pytest.raises(tf.errors.ArgumentError, match="cannot be fetched"):
                session.run(wrong, feed)


def test_a_tensor_that_is_fed_is_not_computed(calls: list[str]) -> None:
    x = tf.placeholder("float")
    middle = telling(x, "middle")
    with tf.Session() as session:
        assert session.run(middle * 2, {middle: 5}) == 10
        assert session.run(middle * 2, {"Telling:0": 6}) == 12
    assert calls == []


@pytest.mark.parametrize(
    ("feed", "error", "sentence"),
    [
        (
            lambda x: {},
            tf.errors.UnfedError,
            r"placeholder x \(float32, shape \(None, 2\)\) is needed and not fed",
        ),
        (lambda x: {x: [1, 2]}, tf.errors.ShapeError, r"shape \(2,\) is fed where \(None, 2\)"),
        (lambda x: {x: [["a", "b"]]}, tf.errors.LiteralError, "could not convert string to float"),
        (lambda x: {x: tf.zeros([1, 2])}, tf.errors.ArgumentError, "a tensor is fed"),
        (lambda x: {"y": 1}, tf.errors.UnknownNameError, "no operation 'y'"),
        (lambda x: {tf.no_op(): 1}, tf.errors.ArgumentError, "has no value to feed"),
    ],
)
def test_what_is_fed_wrongly_is_told(
    feed: Callable[[tf.Tensor], Any], error: type[Exception], sentence: str
) -> None:
    x = tf.placeholder("float", [None, 2], name="x")
    with tf.Session() as session, pytest.raises(error, match=sentence):
        session.run(x * 2.0, feed(x))


@pytest.mark.parametrize(
    ("dtype", "value", "error"),
    [
        ("int32", 2.5, "does not become int32"),
        ("int32", np.array([2**40]), "out of the range of int32"),
        ("uint8", -1, "out of the range of uint8"),
        ("bool", 1, "does not become bool"),
        ("string", 1, "1 is no string"),
    ],
)
def test_a_fed_value_must_fit_its_type(dtype: str, value: Any, error: str) -> None:
    x = tf.placeholder(dtype)
    with tf.Session() as session, pytest.raises(tf.errors.DtypeError, match=error):
        session.run(x, {x: value})


def test_shapes_that_were_not_known_are_checked_when_they_run() -> None:
    x, y = tf.placeholder("float"), tf.placeholder("float")
    with (
        tf.Session() as session,
        pytest.raises(tf.errors.ShapeError, match=r"add: Add of shapes \(2,\), \(3,\)"),
    ):
        session.run(x + y, {x: [1, 2], y: [1, 2, 3]})


def test_an_integer_is_not_divided_by_zero() -> None:
    with tf.Session() as session:
        for wrong in (tf.constant(1) // 0, tf.mod(1, 0)):
            with pytest.raises(tf.errors.ArgumentError, match="an integer is divided by 0"):
                session.run(wrong)
        assert session.run(tf.constant(1.0) / 0.0) == np.inf
        assert session.run([tf.div(-7, 2), tf.constant(-7) / 2, tf.constant(-7) % 3]) == [-4, -3.5, 2]


def test_a_closed_session_says_so() -> None:
    x = tf.constant(1)
    with tf.Session() as session:
        assert x.eval() == 1
    with pytest.raises(tf.errors.ClosedError, match="the session is closed"):
        session.run(x)
    with pytest.raises(tf.errors.GraphError, match="no session is open"):
        x.eval()


def test_sessions_do_not_share_their_variables() -> None:
    v = tf.Variable(1)
    one, other = tf.Session(), tf.Session()
    one.run(tf.global_variables_initializer())
    one.run(v.assign(7))
    with pytest.raises(tf.errors.UninitialisedError):
        other.run(v)
    other.run(v.initializer)
    assert [one.run(v), other.run(v)] == [7, 1]


# what runs


def test_a_variable_may_be_fed() -> None:
    v = tf.Variable(1.0)
    with tf.Session() as session:
        assert session.run(v * 2.0, {v: 5}) == 10


def test_only_what_is_needed_runs_and_each_once(calls: list[str]) -> None:
    x = tf.placeholder("float")
    shared = telling(x, "shared")
    left, right, unused = telling(shared, "left"), telling(shared, "right"), telling(shared, "unused")
    needs_more = unused + tf.placeholder("float")
    with tf.Session() as session:
        assert session.run(left + right + left, {x: 1}) == 3
    assert sorted(calls) == ["left", "right", "shared"]
    assert needs_more is not None


def test_what_follows_from_constants_alone_runs_once_for_all(calls: list[str]) -> None:
    x = tf.placeholder("float")
    y = telling(tf.constant(2.0), "constant") * x
    with tf.Session() as session:
        assert [session.run(y, {x: each}) for each in range(3)] == [0, 2, 4]
    assert calls == ["constant"]


def test_control_dependencies_run_before(calls: list[str]) -> None:
    x = tf.placeholder("float")
    first = telling(x, "first")
    with tf.control_dependencies([first]):
        second = telling(x, "second")
        with tf.control_dependencies(None):
            free = telling(x, "free")
    with tf.control_dependencies([second]):
        third = tf.no_op()
    with tf.Session() as session:
        session.run(third, {x: 1})
        assert calls == ["first", "second"]
        session.run(free, {x: 1})
        assert calls == ["first", "second", "free"]
        session.run(tf.group(third, free), {x: 1})
    assert sorted(calls[3:]) == ["first", "free", "second"]


# variables


def test_a_variable_read_beside_its_assignment_is_read_before() -> None:
    v = tf.Variable([1.0, 2.0])
    view = tf.reshape(v, [2, 1])
    add = v.assign_add([10.0, 10.0])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for fetches in ([add, v, view], [v, view, add]):
            found = {str(np.shape(each)): each for each in session.run(fetches)[1:]}
            session.run(v.initializer)
            assert found
        before, seen, after = session.run([v, view * 1.0, add])
        np.testing.assert_array_equal(before, [1, 2])
        np.testing.assert_array_equal(seen, [[1], [2]])
        np.testing.assert_array_equal(after, [11, 12])
        with tf.control_dependencies([add]):
            later = tf.identity(v)
        np.testing.assert_array_equal(session.run(later), [21, 22])


def test_assignments_to_one_variable_happen_in_the_order_of_making() -> None:
    v = tf.Variable(1.0)
    first, second = v.assign_add(1.0), v.assign(v * 10.0)
    third = v.assign_sub(5.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        # v · 10 reads v, so it is computed before anything changes it.
        assert session.run([third, second, first]) == [5, 10, 2]
        assert session.run(v) == 5


def test_two_variables_can_take_each_others_values_one_after_the_other() -> None:
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    both = tf.group(a.assign(b), b.assign(a))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(both)
        assert session.run([a, b]) == [2, 2]


def test_what_was_fetched_stays_whatever_runs_next() -> None:
    v = tf.Variable(np.zeros(3, np.float32))
    c = tf.constant([1.0, 2.0])
    x = tf.placeholder("float", [2])
    fed = np.ones(2, np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        kept, constant, given = session.run([v, c, x], {x: fed})
        row = session.run(tf.reshape(v, [1, 3]))
        session.run(v.assign_add([1.0, 1.0, 1.0]))
        constant[:] = given[:] = 9
        np.testing.assert_array_equal(kept, 0)
        np.testing.assert_array_equal(row, 0)
        np.testing.assert_array_equal(fed, 1)
        np.testing.assert_array_equal(session.run(c), [1, 2])


def test_a_constant_does_not_follow_the_array_it_was_made_of() -> None:
    array = np.ones(2)
    c = tf.constant(array)
    array[:] = 5
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(c), 1)


def test_an_initialiser_may_be_a_function_or_follow_from_random_numbers() -> None:
    v = tf.Variable(lambda: tf.random_normal([3], seed=1), name="v")
    w = tf.Variable(v.initial_value * 2.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        one, other = session.run([v, w])
        np.testing.assert_array_equal(one * 2, other)
    assert [each.op.name for each in tf.global_variables()] == ["v", "Variable"]
    assert tf.Variable(1, trainable=False) not in tf.trainable_variables()


# random numbers


def test_random_numbers_follow_from_seeds() -> None:
    def draws(graph_seed: int | None, op_seed: int | None) -> list[np.ndarray]:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(graph_seed)
            x, y = tf.random_normal([5], seed=op_seed), tf.random_uniform([5])
            return [*session.run([x, y]), session.run(x)]

    for seeds in ((1, None), (None, 1), (1, 1)):
        one, other = draws(*seeds), draws(*seeds)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[2], other[2])
        assert not np.array_equal(one[0], one[2])  # new numbers in each run
    assert not np.array_equal(draws(1, None)[0], draws(2, None)[0])
    assert not np.array_equal(draws(None, None)[0], draws(None, None)[0])


def test_random_numbers_have_their_distribution() -> None:
    with tf.Session() as session:
        normal, uniform, whole = session.run(
            [
                tf.random_normal([100_000], 2.0, 3.0, seed=1),
                tf.random_uniform([100_000], -1, 3, seed=1, dtype="float64"),
                tf.random_uniform([1000], 3, 6, dtype="int32", seed=1),
            ]
        )
    assert normal.dtype == np.float32
    assert (normal.mean(), normal.std()) == pytest.approx((2, 3), abs=0.03)
    assert (uniform.min(), uniform.max()) == pytest.approx((-1, 3), abs=0.001)
    assert uniform.mean() == pytest.approx(1, abs=0.02)
    assert set(whole) == {3, 4, 5}


def test_dropout_keeps_the_mean_and_its_gradient_has_the_same_holes() -> None:
    x, keep = tf.placeholder("float"), tf.placeholder("float")
    y = tf.nn.dropout(x, keep, seed=3)
    (slope,) = tf.gradients(y, x)
    with tf.Session() as session:
        ones = np.ones(100_000, np.float32)
        value, holes = session.run([y, slope], {x: ones, keep: 0.8})
        assert set(np.unique(value)) == {0, np.float32(1.25)}
        assert value.mean() == pytest.approx(1, abs=0.01)
        np.testing.assert_array_equal(value, holes)
        np.testing.assert_array_equal(session.run(y, {x: ones, keep: 1}), ones)
        with pytest.raises(tf.errors.ArgumentError, match="keep_prob is 0"):
            session.run(y, {x: ones, keep: 0})
        assert (session.run(tf.nn.dropout(ones, rate=0.75, seed=1)) > 0).mean() == pytest.approx(
            0.25, abs=0.01
        )


# memory


def test_arrays_are_let_go_as_soon_as_nobody_needs_them() -> None:
    """Twenty steps on 8 MB hold no more than three arrays at once; in their own array where they can."""
    x = tf.placeholder("float64", [None])
    chain, held = x, x
    for _ in range(10):
        chain = tf.exp(-chain)
        held = tf.where(held > 0.0, held, held)  # cannot write into what it reads
    array = np.ones(2**20)
    with tf.Session(threads=1) as session:
        for result, arrays in ((chain, 1), (held, 2)):
            fetch = tf.reduce_sum(result)
            session.run(fetch, {x: array})
            tracemalloc.start()
            session.run(fetch, {x: array})
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < (arrays + 0.5) * array.nbytes


def test_nothing_that_is_needed_is_written_over() -> None:
    """An array is fed, a result used twice, a view of one, one that is fetched: all must stay."""
    x = tf.placeholder("float64", [None])
    a = tf.exp(x)
    b = -a
    twice = tf.sqrt(a) + b
    view = tf.reshape(tf.exp(x), [-1, 1])
    below = view.op.inputs[0] * 2.0
    kept = tf.square(x)
    beyond = -kept
    array = np.random.default_rng(0).random(2**14)
    fed = array.copy()
    with tf.Session(threads=1) as session:
        found = session.run([twice, view, below, kept, beyond], {x: fed})
    e = np.exp(array)
    for ours, expected in zip(found, [np.sqrt(e) - e, e[:, None], 2 * e, array**2, -(array**2)], strict=True):
        np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(fed, array)


# side by side


def planned(fetches: list[tf.Tensor], fed: dict[tf.Tensor, Any]) -> tuple[Plan, Callable[[], list[Any]]]:
    plan = make_plan([each.op for each in fetches], [each.op for each in fed], State())

    def values() -> list[Any]:
        several = plan.template.copy()
        for tensor, value in fed.items():
            several[plan.fed[tensor.op]] = value
        return several

    return plan, values


@settings(max_examples=settings.default.max_examples // 2)
@given(st.data())
def test_any_graph_gives_the_same_side_by_side_as_in_order(data: st.DataObject) -> None:
    with tf.Graph().as_default(), ThreadPoolExecutor(3) as pool:
        x = tf.placeholder("float64", [None])
        tensors = [x]
        for _ in range(data.draw(st.integers(1, 25))):
            one, other = (data.draw(st.sampled_from(tensors)) for _ in range(2))
            build = data.draw(st.sampled_from([tf.add, tf.maximum, lambda a, b: tf.tanh(a), lambda a, b: -b]))
            tensors.append(build(one, other))
        fetches = data.draw(st.lists(st.sampled_from(tensors[1:]), min_size=1, max_size=4))
        plan, values = planned(fetches, {x: np.linspace(-1, 1, 2**13)})
        expected = values()
        in_order(plan, expected, anew=True)
        for place, step in enumerate(plan.steps):
            step.seconds = data.draw(st.sampled_from([0.0, 2 * LIGHT]), label=str(place))
        found = values()
        SideBySide(plan, found, pool, 4).run()
        for slot in plan.fetched:
            np.testing.assert_array_equal(found[slot], expected[slot])


def test_independent_branches_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=20)  # each waits there for the other

    def compute(x: Any) -> Any:
        meeting.wait()
        return x + 1

    define("Meeting", like_first, compute)
    try:
        x = tf.placeholder("float")
        plan, values = planned([apply("Meeting", [x]) * apply("Meeting", [x])], {x: np.float32(2)})
        for step in plan.steps:
            step.seconds = 1.0
        with ThreadPoolExecutor(1) as pool:
            found = values()
            SideBySide(plan, found, pool, 2).run()
        assert found[plan.fetched[0]] == 9
    finally:
        del KINDS["Meeting"]


def test_an_error_in_another_thread_reaches_the_caller() -> None:
    def compute(x: Any) -> Any:
        raise tf.errors.ArgumentError("this fails", where="Failing")

    define("Failing", like_first, compute)
    try:
        x = tf.placeholder("float")
        several = [apply("Failing", [x]), *(tf.exp(x) for _ in range(6))]
        plan, values = planned(several, {x: np.float32(2)})
        for step in plan.steps:
            step.seconds = 1.0
        with ThreadPoolExecutor(3) as pool, pytest.raises(tf.errors.ArgumentError, match="this fails"):
            SideBySide(plan, values(), pool, 4).run()
    finally:
        del KINDS["Failing"]


def test_a_plan_is_run_side_by_side_only_where_that_proved_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs in order, three side by side if steps could overlap, and then the faster way."""
    ran: list[str] = []
    clock = {"now": 0.0}
    cost = {"in order": 1.0, "side by side": 0.6}

    def spend(way: str) -> None:
        ran.append(way)
        clock["now"] += cost[way]

    running = "simplecell.foundations.graph.running"
    monkeypatch.setattr(f"{running}.time.perf_counter", lambda: clock["now"])
    monkeypatch.setattr(f"{running}.in_order", lambda plan, values, anew: spend("in order"))
    monkeypatch.setattr(SideBySide, "run", lambda self: spend("side by side"))
    x = tf.placeholder("float")
    plan, values = planned([tf.exp(x) + tf.sqrt(x)], {x: np.float32(2)})
    for step in plan.steps:
        step.seconds = 0.4
    with ThreadPoolExecutor(1) as pool:
        for costs, then in ((0.6, "side by side"), (1.2, "in order")):
            cost["side by side"] = costs
            ran.clear()
            choice = Choice(plan, 2)
            for _ in range(8):
                choice.run(values(), pool)
            assert ran == ["in order"] * 3 + ["side by side"] * 3 + [then] * 2
        ran.clear()
        alone = Choice(plan, 1)
        for _ in range(8):
            alone.run(values(), pool)
        assert ran == ["in order"] * 8


def test_a_session_with_threads_learns_what_one_without_learns() -> None:
    def learnt(threads: int) -> np.ndarray:
        with tf.Graph().as_default():
            x = tf.placeholder("float", [None, 64])
            weights = [tf.Variable(tf.random_normal([64, 64], stddev=0.1, seed=each)) for each in range(4)]
            loss = sum(tf.reduce_mean(tf.square(tf.nn.relu(x @ w) @ w)) for w in weights)
            step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
            with tf.Session(threads=threads) as session:
                session.run(tf.global_variables_initializer())
                data = np.random.default_rng(0).standard_normal((2000, 64))
                for _ in range(9):
                    session.run(step, {x: data})
                return np.stack(session.run(weights))

    np.testing.assert_array_equal(learnt(1), learnt(3))
