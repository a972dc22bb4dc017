"""Numbers of single layers: the legal contents of the file, and the errors about others."""

import os

import pytest

from gatefold.gen.errors import UserError
from gatefold.gen.numbers.overrides import check_overrides, read_overrides
from gatefold.gen.numbers.qformat import QFormat
from tests.support.networks import network

NET = network("lstm, gru, rnn")


def written(tmp_path, text):
    path = tmp_path / "formats.toml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path):
    text = """
        [default]
        weights = 8
        percentile = 99.5
        rule = "percentile"
        [l0_lstm]            # the first
        activations = "Q1.11"
        cell = 16
        [input]
        x = 12
    """
    assert read_overrides(written(tmp_path, text), NET) == {
        "default": {"weights": 8, "percentile": 99.5, "rule": "percentile"},
        "l0_lstm": {"activations": QFormat(12, 11), "cell": 16}, "input": {"x": 12}}


#: section and keys that are legal there
LEGAL = [
    ("l0_lstm", {"weights", "activations", "cell", "w_ih", "w_hh", "h", "c"}),
    ("l1_gru", {"weights", "activations", "cell", "w_ih", "w_hh", "h", "c", "m"}),
    ("l2_rnn", {"weights", "activations", "w_ih", "w_hh", "h"}),
    ("l3_dense", {"weights", "activations", "w", "y"}),
    ("input", {"activations", "x"}),
    ("default", {"weights", "activations", "cell"}),
]


@pytest.mark.parametrize(("section", "keys"), LEGAL)
def test_each_kind_has_its_keys(section, keys):
    for key in {key for _, every in LEGAL for key in every}:
        entries = {section: {key: 9}}
        if key in keys:
            assert check_overrides(entries, NET) == entries
        else:
            with pytest.raises(UserError, match=rf"\[{section}\] has no '{key}': its keys may be"):
                check_overrides(entries, NET)


def test_inputs_and_layers_without_weights_have_sections_too():
    net = network("states as inputs")
    assert check_overrides({"input3": {"x": 8}}, net) == {"input3": {"x": 8}}
    pool = network("padded pool")
    assert check_overrides({"l1_max_pool": {"y": "Q2.6"}}, pool) == {
        "l1_max_pool": {"y": QFormat(8, 6)}}
    with pytest.raises(UserError, match="there is no 'l1_reverse' in this network"):
        check_overrides({"l1_reverse": {}}, network("bidirectional"))
    with pytest.raises(UserError, match=r"\[l0_gru\] has no 'm'"):
        check_overrides({"l0_gru": {"m": 8}}, network("gru reset before"))


# the file, words of the message
WRONG = [
    ("[l9_lstm]\nweights = 8", "there is no 'l9_lstm' in this network: the sections may be default,"
     " input, l0_lstm, l1_gru"),
    ("weights = 8", "there is no 'weights' in this network"),
    ("l0_lstm = 8", r"l0_lstm must be a section, \[l0_lstm\], not a value"),
    ("[l0_lstm]\nbits = 8", r"\[l0_lstm\] has no 'bits': its keys may be weights, activations, ce"),
    ("[l0_lstm]\nweights = 3", r"\[l0_lstm\] weights must be 4..18 bits, or a format like \"Q1.1"),
    ("[l0_lstm]\nweights = 19", "must be 4..18 bits"),
    ("[l0_lstm]\nweights = true", "must be 4..18 bits.*not 'True'"),
    ("[l0_lstm]\nweights = 8.0", "must be 4..18 bits"),
    ("[l0_lstm]\nweights = [8]", "must be 4..18 bits"),
    ("[l0_lstm]\nweights = \"8\"", r"must be bits \(4..18\) or a format like \"Q1.11\", not '8'"),
    ("[l0_lstm]\nweights = \"Q9999.1\"", "must be bits"),
    ("[l0_lstm]\nweights = \"Q1.40\"", "Q1.40 has 41 bits, 4..18 are possible"),
    ("[l0_lstm]\nrow_scales = 1", "row_scales must be true or false, not '1'"),
    ("[l0_lstm]\nrule = \"best\"", "rule: the rule for formats must be one of max, percentile"),
    ("[l0_lstm]\npercentile = 3", "percentile: the percentile must be in 50..100, not '3'"),
    ("[l0_lstm]\npercentile = nan", "percentile: the percentile must be in 50..100"),
    ("[input]\nweights = 8", r"\[input\] has no 'weights'"),
    ("[l0_lstm", "is no TOML"),
    ("[l0_lstm]\nweights = 8\nweights = 9", "is no TOML"),
    ("x = " + "[" * 5000, "is no TOML"),
    ("\0", "is no TOML"),
    ("# " + "x" * (1 << 20), "holds over 1048576 bytes"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[text[:30] for text, _ in WRONG])
def test_wrong_files_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as refused:
        read_overrides(written(tmp_path, text), NET)
    assert "\n" not in str(refused.value) and "'formats.toml'" in str(refused.value)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="'formats.toml' cannot be read: No such file"):
        read_overrides(tmp_path / "formats.toml", NET)
    with pytest.raises(UserError, match="(not a directory|Is a directory)"):
        read_overrides(tmp_path, NET)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="must be a TOML file, not a directory or device"):
        read_overrides(tmp_path / "pipe", NET)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is no TOML"):
        read_overrides(tmp_path / "bytes.toml", NET)
