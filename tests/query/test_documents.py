"""Documents: overviews as they were received."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.document import Document
from pipeline.query.history import History
from tests.support.observations import Observed, after, database_of

_VALUES = st.sampled_from(["1", "1.50", "-", "None", "abc", "é\u202e", "", 1, 1.0, True, None, {"b": [1, 1.0], "a": 2}])
_DOCUMENTS = st.permutations(["PERatio", "Name", "LatestQuarter", "New", "MarketCapitalization"]).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), _VALUES) for name in names)).map(lambda pairs: dict(pairs[:4]))
)


@given(received=_DOCUMENTS)
def test_a_document_is_returned_to_the_letter_with_its_keys_in_order(received: Document) -> None:
    before, after_it = dict(list(received.items())[:2]), {"Symbol": "IBM", **received}
    observations = [Observed("IBM", after(0), {**before, "Symbol": "IBM"}), Observed("IBM", after(2), after_it)]
    with History.open(database_of(observations)) as history:
        told = [json.dumps(next(history.documents_as_of(after(hours), ["IBM"]))) for hours in (1, 3)]
    assert told == [json.dumps({**before, "Symbol": "IBM"}), json.dumps(after_it)]
