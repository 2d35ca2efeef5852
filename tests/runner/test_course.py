"""What a run took over time: spans of equal length, few of them however long it lasts."""

from offline_jobs.contract.run import ResultRecord
from offline_jobs.runner.course import Course
from offline_jobs.runner.gpus import GpuUse
from offline_jobs.runner.record import encode_record

MIB = 2**20


def follow(course: Course, *looks: tuple[float, int, float]) -> Course:
    """Look at these times: seconds, MiB in use, processor time so far."""
    for now, memory_mib, cpu_seconds in looks:
        course.see_memory(memory_mib * MIB)
        if course.is_due(now):
            course.look(now, cpu_seconds)
    return course


def run_for(seconds: int, peak_at: int) -> Course:
    """A run that keeps a core busy, with one peak of memory."""
    looks = ((100 + at, 900 if at == peak_at else 50, at) for at in range(seconds + 1))
    return follow(Course(), *looks)


def test_a_span_has_its_highest_memory_and_its_mean_of_cores() -> None:
    looks = [(100, 10, 0), (100.5, 70, 1), (101.5, 20, 2), (102, 30, 3), (103, 25, 4), (104, 5, 4)]
    series = follow(Course(), *looks).series
    assert series == {
        "every_seconds": 2.0,
        "memory_mib": [70, 25],
        "cores": [1.5, 0.5],
        "gpus": None,
        "first_cell_seconds": None,
    }


def test_before_a_span_has_passed_there_is_nothing() -> None:
    assert follow(Course(), (100, 10, 0), (101.9, 70, 1)).series is None


def test_a_run_of_days_has_as_few_points_as_one_of_minutes_and_loses_no_peak() -> None:
    for seconds in (479, 480, 3_600, 100_000):
        series = run_for(seconds, peak_at=seconds // 3).series
        assert series is not None
        points = series["memory_mib"]
        every = series["every_seconds"]
        assert len(points) == len(series["cores"])
        assert Course.MOST_POINTS / 2 - 1 <= len(points) <= Course.MOST_POINTS
        assert seconds - every < len(points) * every <= seconds
        # Where it was, for what is seen at the end of a span is in it.
        assert [at for at, memory in enumerate(points) if memory == 900] == [
            (seconds // 3 - 1) // every
        ]
        assert set(series["cores"]) == {1}


def test_an_end_that_comes_before_a_late_look_has_as_many_spans() -> None:
    course = follow(Course(), (0, 10, 0))
    course.see_memory(30 * MIB)
    course.end(3.5, 7)
    assert course.series is not None
    assert (course.series["memory_mib"], course.series["cores"]) == ([30, 30], [2, 2])


def test_while_nobody_looked_it_was_as_afterwards() -> None:
    course = follow(Course(), (0, 10, 0), (2, 10, 2), (12, 40, 4))
    assert course.series is not None
    assert course.series["memory_mib"] == [10, *[40] * 5]
    assert course.series["cores"] == [1, *[0.2] * 5]
    # A computer that slept for a night.
    follow(course, (40_000, 20, 4))
    assert course.series["every_seconds"] == 256
    assert len(course.series["memory_mib"]) == 40_000 // 256
    assert course.series["memory_mib"][0] == 40


def test_the_end_counts_with_half_a_span() -> None:
    early = follow(Course(), (0, 10, 0), (2, 10, 2), (2.9, 80, 3))
    early.end(2.9, 3)
    assert early.series is not None
    assert early.series["memory_mib"] == [80]
    late = follow(Course(), (0, 10, 0), (2, 10, 2), (3.5, 80, 3.5))
    late.end(3.5, 3.5)
    assert late.series is not None
    assert (late.series["memory_mib"], late.series["cores"]) == ([10, 80], [1, 1])
    told = late.series
    # The record may be written a second time, long after.
    late.end(60, 4)
    assert late.series == told


def test_what_was_lost_sight_of_is_no_negative_work() -> None:
    series = follow(Course(), (0, 10, 5), (2, 10, 3)).series
    assert series is not None
    assert series["cores"] == [0]


def test_it_says_when_the_first_cell_began_and_is_another_object_each_time() -> None:
    course = follow(Course(), (100, 10, 0), (102, 10, 0))
    first = course.series
    course.begin_cells(103.26)
    course.begin_cells(109)
    follow(course, (104, 10, 0))
    assert course.series is not None
    assert course.series["first_cell_seconds"] == 3.3
    assert first is not None
    assert first["memory_mib"] == [10]


def test_gpus_have_the_mean_of_a_span_and_the_last_where_none_was_seen() -> None:
    course = follow(Course(), (0, 10, 0), (2, 10, 0))
    for percent, memory_mib in ((20, 500), (60, 400)):
        course.see_gpus(GpuUse(2, percent, memory_mib, 1600))
    follow(course, (4, 10, 0), (6, 10, 0))
    course.see_gpus(GpuUse(2, 100, 300, 1600))
    follow(course, (8, 10, 0))
    assert course.series is not None
    assert course.series["gpus"] == {
        "count": 2,
        "memory_limit_mib": 1600,
        "percent": [None, 40, 60, 100],
        "memory_mib": [0, 500, 400, 300],
    }


def test_gpus_of_a_long_run_have_as_many_points_as_memory_and_lose_no_peak() -> None:
    course = Course()
    for at in range(1_000):
        course.see_gpus(GpuUse(1, 50, 7_000 if at == 333 else 100, 16_000))
        follow(course, (at, 10, 0))
    assert course.series is not None
    gpus = course.series["gpus"]
    assert len(gpus["percent"]) == len(gpus["memory_mib"]) == len(course.series["memory_mib"])
    assert set(gpus["percent"]) == {50}
    peaks = [at for at, memory in enumerate(gpus["memory_mib"]) if memory == 7_000]
    assert peaks == [333 // course.series["every_seconds"]]


def test_what_gpus_do_is_unknown_where_they_do_not_tell() -> None:
    course = follow(Course(), (0, 10, 0))
    course.see_gpus(GpuUse(1, 80, 500, 1600))
    follow(course, (2, 10, 0))
    course.see_gpus(GpuUse(1, None, 600, 1600))
    follow(course, (4, 10, 0))
    course.see_gpus(None)
    follow(course, (6, 10, 0), (8, 10, 0))
    assert course.series is not None
    assert course.series["gpus"]["percent"] == [80, None, None, None]
    assert course.series["gpus"]["memory_mib"] == [500, 600, 0, 0]


def test_the_end_loses_no_peak_of_gpus() -> None:
    course = follow(Course(), (0, 10, 0), (2, 10, 2))
    course.see_gpus(GpuUse(1, 80, 15_000, 16_000))
    course.end(2.5, 3)
    assert course.series is not None
    assert course.series["gpus"]["memory_mib"] == [15_000]


def test_a_record_has_a_line_for_each_quantity_of_it_known_or_not() -> None:
    gpus = {"percent": [None, 97, None], "memory_mib": [0, 9, 9]}
    record = ResultRecord("j", 1, "succeeded", 0, series={"cores": [0.5, 1.0], "gpus": gpus})
    text = encode_record(record).decode()
    assert '"percent": [ null, 97, null ]' in text
    assert '"cores": [ 0.5, 1.0 ]' in text
