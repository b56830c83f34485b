"""Settings from the environment and from tubeskel.yaml."""

from __future__ import annotations

import re

import pytest

from tubeskel.nnunet import Settings, load_settings


def test_defaults():
    assert load_settings(None, {}) == Settings(
        alpha=1.0,
        radius=2,
        per_class=False,
        recall="linear",
        classes="all",
        lower_tubes="skeletonize",
        iterations=10,
    )


def test_variables():
    environment = {
        "TUBESKEL_ALPHA": "0.5",
        "TUBESKEL_RADIUS": "3",
        "TUBESKEL_PER_CLASS": "True",
        "TUBESKEL_RECALL": "tversky",
        "TUBESKEL_CLASSES": "present",
        "TUBESKEL_LOWER_TUBES": "none",
        "TUBESKEL_ITERATIONS": " 5 ",
        "TUBESKEL_SYNC_CHECKS": "1",
    }
    expected = Settings(0.5, 3, True, "tversky", "present", "none", 5)
    assert load_settings(None, environment) == expected


def test_the_file_and_variables_over_it(tmp_path):
    (tmp_path / "tubeskel.yaml").write_text("alpha: 2\nradius: 1\nper_class: true\n")
    assert load_settings(tmp_path, {}) == Settings(alpha=2, radius=1, per_class=True)
    changed = load_settings(tmp_path, {"TUBESKEL_RADIUS": "4", "TUBESKEL_PER_CLASS": "0"})
    assert changed == Settings(alpha=2, radius=4)
    (tmp_path / "tubeskel.yaml").write_text("# nothing\n")
    assert load_settings(tmp_path, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ALPHA", "much", "TUBESKEL_ALPHA must be a number, got 'much'"),
        ("ALPHA", "-1", "the environment: alpha must be a finite float and at least 0, got -1.0"),
        ("ALPHA", "nan", "the environment: alpha must be a finite float"),
        ("RADIUS", "2.5", "TUBESKEL_RADIUS must be an integer, got '2.5'"),
        ("PER_CLASS", "maybe", "TUBESKEL_PER_CLASS must be true, false, 1 or 0, got 'maybe'"),
        ("RECALL", "square", "the environment: recall must be one of 'linear', 'log', "),
        ("CLASSES", "some", "the environment: classes must be one of 'all', 'present', got 'some'"),
        ("LOWER_TUBES", "x", "the environment: lower_tubes must be one of 'skeletonize', "),
        ("ITERATIONS", "-3", "the environment: iterations must be at least 0, got -3"),
    ],
)
def test_bad_variables(name, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load_settings(None, {f"TUBESKEL_{name}": text})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alhpa: 1", "there is no setting 'alhpa'; there are alpha, radius, "),
        ("alpha: much", "alpha must be a number, got 'much'"),
        ("per_class: 1", "per_class must be True or False, got 1"),
        ("[1, 2]", "must hold lines like 'alpha: 1.0', got [1, 2]"),
        ("alpha: [1", "cannot be read"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "tubeskel.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_settings(tmp_path, {})
    assert str(path) in str(caught.value)
