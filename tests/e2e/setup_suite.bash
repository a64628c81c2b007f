# shellcheck shell=bash
# Runs once around all e2e files (bats 1.7+). Daemons and images are made by the first test that needs them.

# shellcheck source=tests/e2e/peers.bash
. "${BASH_SOURCE[0]%/*}/peers.bash"

setup_suite() {
	bats_require_minimum_version 1.7.0
	peers_setup "$PPID"
}

teardown_suite() {
	peers_teardown_all
}
