// SPDX-License-Identifier: GPL-2.0-only
/*
 * A message as another process left it in shared memory: what is taken for one
 * says the same when it is written again, and nothing beyond it is read.
 */
#include "mailbox/shmbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pulse__wire in, out;
	struct pulse_message *msg;
	unsigned char *slot, *again;

	if (size < sizeof(in))
		return 0;
	/* Where a receiver has it: aligned, and no longer than this. */
	slot = malloc(size);
	again = malloc(size);
	if (!slot || !again)
		abort();
	memcpy(slot, data, size);
	if (!pulse__wire_read(slot, size, &msg)) {
		memcpy(&in, slot, sizeof(in));
		if (pulse__wire_write(again, size, msg, in.sent_ns, 0) != in.all)
			abort();
		memcpy(&out, again, sizeof(out));
		memset(in.zero, 0, sizeof(in.zero));
		memset(in.reserved, 0, sizeof(in.reserved));
		if (memcmp(&in, &out, sizeof(in)) ||
		    memcmp(slot + sizeof(in), again + sizeof(in),
			   in.all - sizeof(in)))
			abort();
		pulse_message_put(msg);
	}
	free(slot);
	free(again);
	return 0;
}
