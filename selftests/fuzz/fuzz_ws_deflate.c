// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compression of messages: a stream cut anywhere inflates to the same as when it
 * comes whole, never beyond what the sink takes, and what was inflated can be
 * deflated and comes back.
 */
#include "ws/deflate.h"

#define MAX (64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	uint8_t data[MAX];
	size_t len;
	size_t step;
};

static uint8_t *room(void *arg, size_t *bytes)
{
	struct text *t = arg;

	*bytes = t->step < MAX - t->len ? t->step : MAX - t->len;
	return *bytes ? t->data + t->len : NULL;
}

static bool wrote(void *arg, size_t bytes)
{
	struct text *t = arg;

	if (bytes > MAX - t->len)
		abort();
	t->len += bytes;
	return t->len < MAX;
}

static int inflated(const struct pulse__ws_agreed *agreed, const uint8_t *data,
		    size_t size, size_t piece, struct text *t)
{
	struct pulse__ws_sink sink = { room, wrote, t };
	struct pulse__ws_shared shared = { 0 };
	struct pulse__ws_pmd *pmd = pulse__ws_pmd_new(agreed, 1);
	size_t at = 0;
	int err;

	t->len = 0;
	do {
		size_t n = piece < size - at ? piece : size - at;

		err = pulse__ws_inflate(pmd, &shared, data + at, n,
					at + n == size, &sink);
		at += n;
	} while (!err && at < size);
	pulse__ws_pmd_free(pmd);
	pulse__ws_shared_free(&shared);
	return err;
}

static void there_and_back(const struct pulse__ws_agreed *agreed,
			   const struct text *t, struct text *back)
{
	struct pulse__ws_sink sink = { room, wrote, back };
	struct pulse__ws_shared shared = { 0 };
	struct pulse__ws_pmd *pmd = pulse__ws_pmd_new(agreed, 6);

	for (int i = 0; i < 2 && t->len; i++) {
		int64_t n = pulse__ws_deflate(pmd, &shared, t->data, t->len);

		if (n == -E2BIG && agreed->tx.forget)
			break;
		back->len = 0;
		if (n < 0 || pulse__ws_inflate(pmd, &shared, shared.scratch,
					       (size_t)n, true, &sink) ||
		    back->len != t->len ||
		    memcmp(back->data, t->data, t->len))
			abort();
	}
	pulse__ws_pmd_free(pmd);
	pulse__ws_shared_free(&shared);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text whole, pieces;
	struct pulse__ws_agreed agreed = { .on = true };
	int a, b;

	if (size < 2)
		return 0;
	agreed.tx.bits = agreed.rx.bits = (uint8_t)(9 + data[0] % 7);
	agreed.tx.forget = agreed.rx.forget = data[0] & 128;
	whole.step = MAX;
	pieces.step = data[1] % 32 + 1;
	a = inflated(&agreed, data + 2, size - 2, SIZE_MAX, &whole);
	b = inflated(&agreed, data + 2, size - 2, data[1] % 64 + 1, &pieces);
	/*
	 * Who reaches beyond a window that was agreed to be small is caught
	 * where those bytes are gone, which depends on the cut.
	 */
	if (a != b && agreed.rx.bits == PULSE__WS_BITS_MAX)
		abort();
	if (!a && !b && (whole.len != pieces.len ||
			 memcmp(whole.data, pieces.data, whole.len)))
		abort();
	if (!a)
		there_and_back(&agreed, &whole, &pieces);
	return 0;
}
