import time

from features.loading import Room, ordered_map


def test_ordered_map_keeps_the_order_and_bounds_the_look_ahead():
    taken = []

    def items():
        for i in range(50):
            taken.append(i)
            yield i

    mapped = ordered_map(lambda i: i * i, items(), workers=3, ahead=5)
    assert next(mapped) == 0
    assert len(taken) <= 7  # a folder of a million images must not fill the memory
    assert list(mapped) == [i * i for i in range(1, 50)]


def test_fewer_large_results_are_in_front():
    taken = []
    mapped = ordered_map(
        lambda i: taken.append(i) or i, range(50), workers=1, ahead=20, size=lambda _: 30, most=100
    )
    assert [next(mapped) for _ in range(9)] == [*range(9)]
    time.sleep(0.1)
    assert len(taken) <= 9 + 3 + 1


def test_threads_together_take_no_more_room_than_there_is():
    # Memory must not grow with the number of threads.
    room, inside, most = Room(100), [], []

    def work(size):
        with room.taken(size):
            inside.append(size)
            most.append(sum(inside))
            time.sleep(0.01)
            inside.remove(size)

    list(ordered_map(work, [60, 60, 40, 40, 150, 20, 0], workers=7, ahead=7))
    assert len(most) == 7
    assert max(most) == 150  # what is larger than the room has it alone
    assert all(total <= 100 or total == 150 for total in most)
