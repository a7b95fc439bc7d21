from gendata.settings_difference import settings_difference


def test_equal_settings_differ_in_nothing():
    assert settings_difference({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}) == ""


def test_what_differs_is_named_with_dots_and_shortened():
    there = {"seed": 0, "filter": {"rule": "argmax", "low": 0.5}, "classes": ["name"] * 100}
    now = {"seed": 0, "filter": {"rule": "margin", "low": 0.5}, "classes": [], "views": 2}
    found = settings_difference(there, now)
    rule, classes, views = found.split(" now")[:3]
    assert rule == 'filter.rule "argmax" there, "margin"'
    assert classes.startswith(', classes ["name", "name"') and classes.endswith("… there, []")
    assert len(classes) < 60 + 25
    assert views == ", views null there, 2"
