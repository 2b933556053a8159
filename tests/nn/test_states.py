"""Selection of sequences from nested states."""

import torch

from elman.nn.states import join_rows, select_rows


def test_rows_are_selected_through_nested_tuples() -> None:
    h, c, single = torch.randn(2, 4, 3), torch.randn(2, 4, 3), torch.randn(1, 4, 5)
    rows = torch.tensor([3, 0, 3])
    (first, second), third = select_rows(((h, c), single), rows)
    assert torch.equal(first, h[:, [3, 0, 3]]) and torch.equal(second, c[:, [3, 0, 3]])
    assert torch.equal(third, single[:, [3, 0, 3]])
    assert torch.equal(select_rows(h, rows), h[:, [3, 0, 3]])


def test_no_state_has_no_rows() -> None:
    assert select_rows(None, torch.tensor([0])) is None
    state = (None, torch.zeros(1, 2, 3))
    assert select_rows(state, torch.tensor([1]))[0] is None


def test_states_are_joined_as_they_were_selected() -> None:
    state = ((torch.randn(2, 4, 3), None), torch.randn(1, 4, 5))
    each = [select_rows(state, torch.tensor([row])) for row in range(4)]
    (first, none), second = join_rows(each)
    assert torch.equal(first, state[0][0]) and torch.equal(second, state[1]) and none is None
