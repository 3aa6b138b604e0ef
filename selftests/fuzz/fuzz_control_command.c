// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands and values of knobs: whatever comes, a value stays within its range and
 * an answer ends.
 */
#include "base/base.h"

#include <pulse-u/control.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pulse_control *make(void)
{
	PULSE_OPTS(pulse_knob, n, .name = "n", .unit = "bytes",
		   .type = PULSE_KNOB_INT, .min = -5, .max = 1 << 20);
	PULSE_OPTS(pulse_knob, b, .name = "b", .type = PULSE_KNOB_BOOL);
	PULSE_OPTS(pulse_knob, t, .name = "t", .type = PULSE_KNOB_TEXT);
	struct pulse_control *c;

	if (pulse_control_create(NULL, &c) || pulse_control_define(c, &n) != 0 ||
	    pulse_control_define(c, &b) != 1 || pulse_control_define(c, &t) != 2)
		abort();
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pulse_control *c = make();
	char *text = malloc(size + 1), reply[64];

	memcpy(text, data, size);
	text[size] = 0;
	for (char *line = text; line; ) {
		char *next = strchr(line, '\n');
		int64_t n, b;
		int err;

		if (next)
			*next++ = 0;
		memset(reply, 'x', sizeof(reply));
		err = pulse_control_command(c, line, reply, sizeof(reply));
		n = pulse_control_int(c, 0, INT64_MAX);
		b = pulse_control_int(c, 1, INT64_MAX);
		if (err > 0 || !memchr(reply, 0, sizeof(reply)) || n < -5 ||
		    n > 1 << 20 || (b != 0 && b != 1))
			abort();
		line = next;
	}
	free(text);
	pulse_control_destroy(c);
	return 0;
}
