// SPDX-License-Identifier: GPL-2.0-only
/*
 * pulse-wsbench - load for WebSocket servers, and a judge of their answers.
 */
#include "bench.h"

int main(int argc, char **argv)
{
	struct result r = { .seconds = 0 };
	struct plan plan;
	struct args a;
	int rc = args_parse(&a, argc, argv);

	if (rc)
		return rc - 1;
	rc = plan_make(&plan, &a);
	if (!rc)
		rc = load_run(&plan, &r);
	if (rc) {
		fprintf(stderr, "pulse-wsbench: %s\n", pulse_strerror(rc));
		rc = 1;
	} else {
		report(&a, &r);
		rc = r.n.mismatched || r.n.broken || r.n.lost || r.n.refused ||
		     *r.why;
	}
	if (*r.why)
		fprintf(stderr, "pulse-wsbench: %s\n", r.why);
	if (r.latency)
		pulse_histogram_destroy(r.latency);
	plan_free(&plan);
	return rc;
}
