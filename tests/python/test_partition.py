"""The bucket of a record is the one that Pulsing gives it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import reference_bucket
from persisting.queue import Queue

any_value = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.just("日本語 🛫"),
    st.just(""),
)


@given(value=any_value, num_buckets=st.integers(1, 1000))
def test_bucket_of_a_value(value, num_buckets):
    queue = Queue(None, "t", num_buckets=num_buckets)
    assert queue.get_bucket_id(value) == reference_bucket(value, num_buckets)


@pytest.mark.pulsing
@given(value=any_value, num_buckets=st.integers(1, 1000))
def test_bucket_of_a_value_is_pulsings(value, num_buckets):
    import pulsing as pul

    if pul.__version__ == "0.1.0":
        from pulsing.queue import Queue as PulsingQueue
    else:
        from pulsing.streaming import Queue as PulsingQueue
    theirs = PulsingQueue.__new__(PulsingQueue)
    theirs.num_buckets = num_buckets
    ours = Queue(None, "t", num_buckets=num_buckets)
    assert ours.get_bucket_id(value) == theirs.get_bucket_id(value)
