"""The algebra of text and its changes. Pure: no clock, no waiting, no I/O."""

from collab.text.change import Change
from collab.text.text import Text
from collab.text.units import from_units, to_units

__all__ = ["Change", "Text", "from_units", "to_units"]
