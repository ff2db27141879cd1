"""What follows a secret's name is hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quartapp.redact.secret_patterns import assignments


@pytest.mark.slow
@given(st.text(max_size=20), st.text(alphabet="abc='\", :()&\\", max_size=40))
def test_in_a_repr_no_value_of_a_secret_name_is_shown(value: str, around: str) -> None:
    text = f"{around}password={value!r}"

    assert f"password={value!r}" not in assignments(text, in_repr=True)
