"""Labels of dots: none covers a dot or another label."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.plot.dot_labels import Place, labelled

places = st.builds(Place, st.floats(0, 300), st.floats(0, 200), st.sampled_from(["A", "AAPL", "BRK-B", "LONGSYMBOL"]))


def boxes(many: list[Place], sides: dict[int, str]) -> list[tuple[float, float, float, float]]:
    found = []
    for number, side in sides.items():
        place, long = many[number], len(many[number].text) * 6.6
        left = place.x + 6 if side == "right" else place.x - 6 - long
        found.append((left, place.y - 5.5, left + long, place.y + 5.5))
    return found


@given(st.lists(places, min_size=1, max_size=20))
def test_labels_cover_nothing_and_stay_within_the_width(many: list[Place]) -> None:
    found = boxes(many, labelled(many, range(len(many)), 300))
    assert all(left >= 0 and right <= 300 for left, _, right, _ in found)
    for number, (left, top, right, bottom) in enumerate(found):
        assert not any(left < place.x < right and top < place.y < bottom for place in many)
        for other in found[number + 1 :]:
            assert not (left < other[2] and other[0] < right and top < other[3] and other[1] < bottom)


def test_a_lone_dot_has_its_label_and_the_first_in_order_is_served_first() -> None:
    assert labelled([Place(10, 10, "AAPL")], [0], 300) == {0: "right"}
    assert labelled([Place(290, 10, "AAPL")], [0], 300) == {0: "left"}
    near = [Place(100, 10, "AAPL"), Place(100, 14, "MSFT")]
    assert labelled(near, [1, 0], 300) == {1: "right", 0: "left"}


def test_a_covered_place_is_kept_free() -> None:
    assert labelled([Place(100, 10, "AAPL")], [0], 300, covered=[(115, 10)]) == {0: "left"}
