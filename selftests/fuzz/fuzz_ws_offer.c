// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of permessage-deflate: what a server takes of an offer ("o") can be
 * told and is what a client that offered it all accepts; what a client accepts
 * of an answer (anything else) is within its own wishes.
 */
#include "ws/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pulse__ws_deflate_cfg cfgs[] = {
	{ .on = true, .level = 1, .tx = { 15, false }, .rx = { 15, false } },
	{ .on = true, .level = 1, .tx = { 9, true }, .rx = { 8, true } },
	{ .on = true, .level = 1, .tx = { 12, false }, .rx = { 10, true } },
};

static bool sane(const struct pulse__ws_agreed *a)
{
	return a->tx.bits >= PULSE__WS_BITS_MIN &&
	       a->tx.bits <= PULSE__WS_BITS_MAX && a->rx.bits >= 8 &&
	       a->rx.bits <= PULSE__WS_BITS_MAX;
}

static void offered(const struct pulse__ws_deflate_cfg *cfg, const char *field)
{
	struct pulse__ws_agreed agreed = { 0 }, client = { 0 };
	char text[PULSE__WS_ANSWER_MAX];

	if (pulse__ws_deflate_offer(cfg, field, &agreed) || !agreed.on)
		return;
	if (!sane(&agreed) || agreed.tx.bits > cfg->tx.bits ||
	    pulse__ws_deflate_answer(&agreed, text) != strlen(text))
		abort();
	/* A client without wishes takes any answer but a window of 8 bits. */
	if (pulse__ws_deflate_accept(&cfgs[0], text, &client)) {
		if (agreed.rx.bits >= PULSE__WS_BITS_MIN)
			abort();
		return;
	}
	if (client.rx.bits != agreed.tx.bits ||
	    client.rx.forget != agreed.tx.forget ||
	    client.tx.bits > agreed.rx.bits)
		abort();
}

static void answered(const struct pulse__ws_deflate_cfg *cfg, const char *field)
{
	struct pulse__ws_agreed agreed = { 0 };

	if (pulse__ws_deflate_accept(cfg, field, &agreed))
		return;
	if (!sane(&agreed) || !agreed.on || agreed.rx.bits > cfg->tx.bits ||
	    (cfg->tx.forget && !agreed.rx.forget))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *field;

	if (size < 1)
		return 0;
	field = malloc(size);
	if (!field)
		return 0;
	memcpy(field, data + 1, size - 1);
	field[size - 1] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(cfgs); i++) {
		if (data[0] == 'o')
			offered(&cfgs[i], field);
		else
			answered(&cfgs[i], field);
	}
	free(field);
	return 0;
}
