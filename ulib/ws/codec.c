// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * codec.c - which of the codecs a loop takes; see codec.h.
 */
#include "ws/codec.h"

static const struct pulse__ws_codec *const codecs[] = {
#ifdef __x86_64__
	&pulse__ws_codec_avx2,
	&pulse__ws_codec_ssse3,
#endif
	&pulse__ws_codec_word,
};

const struct pulse__ws_codec *pulse__ws_codec_get(unsigned int n)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		if (codecs[i]->usable && !codecs[i]->usable())
			continue;
		if (!n--)
			return codecs[i];
	}
	return NULL;
}
