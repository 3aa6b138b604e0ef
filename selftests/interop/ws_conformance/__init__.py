# SPDX-License-Identifier: GPL-2.0-only
"""What a WebSocket server must do, section by section of RFC 6455 and 7692.

Nothing of the project is used: raw sockets and zlib. Each module adds cases to
the list of peer.py; test_ws_conformance.py runs them.
"""
