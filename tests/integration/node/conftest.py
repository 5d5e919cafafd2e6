"""What the tests of a node with other programs have in common."""

from tests.node.conftest import collected_sockets as collected_sockets
from tests.node.conftest import steps as steps
