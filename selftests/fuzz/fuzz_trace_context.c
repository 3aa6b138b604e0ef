// SPDX-License-Identifier: GPL-2.0-only
/*
 * traceparent and tracestate: what is taken is written again as the same, and an
 * entry that is put in front is there. Input: the first line, the rest.
 */
#include "base/base.h"

#include <pulse-u/tracer.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *state, again[PULSE_TRACEPARENT_MAX];
	struct pulse_trace_context tc, second;

	memcpy(text, data, size);
	text[size] = 0;
	state = strchr(text, '\n');
	if (state)
		*state++ = 0;
	if (pulse_trace_extract(text, state, &tc))
		goto out;
	if (pulse_trace_inject(&tc, again) || strlen(again) != 55 ||
	    strncmp(again + 3, text + 3, 49))
		abort();
	if (pulse_trace_extract(again, tc.tracestate, &second) ||
	    memcmp(tc.trace_id, second.trace_id, 16) ||
	    tc.sampled != second.sampled ||
	    strcmp(tc.tracestate, second.tracestate))
		abort();
	if (pulse_tracestate_set(&tc, "pulse", "1") ||
	    strncmp(tc.tracestate, "pulse=1", 7) ||
	    strlen(tc.tracestate) >= PULSE_TRACESTATE_MAX)
		abort();
	/* And is valid. */
	if (pulse_trace_extract(again, tc.tracestate, &second) ||
	    strcmp(tc.tracestate, second.tracestate))
		abort();
out:
	free(text);
	return 0;
}
