// SPDX-License-Identifier: GPL-2.0-only
/*
 * shout.c - a module for <pulse-u/wasm.h>: answers in capitals.
 *
 *	pulse-wasm-cc shout.c -o shout.so
 *
 * "!" makes it write where it must not, "..." makes it go round for ever.
 */
#define PULSE(name) __attribute__((import_module("pulse"), import_name(#name))) name

int PULSE(message_len)(void);
int PULSE(message_read)(char *to, int from, int len);
int PULSE(reply)(const char *data, int len);

static char text[4096];

__attribute__((export_name("pulse_handle"))) int pulse_handle(int type)
{
	int n = message_read(text, 0, sizeof(text));

	if (message_len() > n)
		return -90;		/* -EMSGSIZE */
	if (n == 1 && text[0] == '!')
		*(volatile char *)0x7fffffff = 1;
	for (volatile int on = n == 3 && text[0] == '.'; on;)
		;
	for (int i = 0; i < n; i++)
		if (text[i] >= 'a' && text[i] <= 'z')
			text[i] -= 'a' - 'A';
	reply(text, n);
	return type >= 0;		/* handled */
}
