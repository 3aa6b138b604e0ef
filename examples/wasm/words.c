// SPDX-License-Identifier: GPL-2.0-only
/*
 * words.c - a module for <pulse-u/wasm.h> with a C library: counts words.
 *
 *	pulse-wasm-cc --wasi words.c -o words.so
 *
 * Answers with each word of the message and how often it is there, the most
 * frequent first. What it writes to standard error is logged. "!memory", "!abort"
 * and "!exit" show what happens to one that asks for too much, or ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PULSE(name) __attribute__((import_module("pulse"), import_name(#name))) name

int PULSE(message_len)(void);
int PULSE(message_read)(char *to, int from, int len);
int PULSE(reply)(const char *data, int len);

struct word {
	const char *text;
	int n;
};

static int by_count(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->n != y->n ? y->n - x->n : strcmp(x->text, y->text);
}

static int count(char *text, struct word *words)
{
	int nr = 0, i;

	for (char *w = strtok(text, " \t\n"); w; w = strtok(NULL, " \t\n")) {
		for (i = 0; i < nr && strcmp(words[i].text, w); i++)
			;
		words[i].text = w;
		words[i].n = i < nr ? words[i].n + 1 : 1;
		nr += i == nr;
	}
	qsort(words, (size_t)nr, sizeof(*words), by_count);
	return nr;
}

static int too_much(void)
{
	void *last = NULL, *p;

	/* Volatile: what is never used would not be asked for. */
	for (void *volatile *chain; (p = malloc(1 << 20)); last = p) {
		chain = p;
		*chain = last;
	}
	for (; last; last = p) {
		p = *(void **)last;
		free(last);
	}
	return -12;		/* ENOMEM of Linux, which is not WASI's */
}

__attribute__((export_name("pulse_handle"))) int pulse_handle(int type)
{
	int len = message_len(), nr, at = 0;
	char *text = calloc(1, (size_t)len + 1), *out;
	struct word *words = calloc((size_t)len + 1, sizeof(*words));

	out = calloc((size_t)len + 1, 16);
	if (!text || !words || !out)
		return -12;
	message_read(text, 0, len);
	if (!strcmp(text, "!memory"))
		return too_much();
	if (!strcmp(text, "!abort"))
		abort();
	if (!strcmp(text, "!exit"))
		exit(1);
	nr = count(text, words);
	for (int i = 0; i < nr; i++)
		at += sprintf(out + at, "%s %d\n", words[i].text, words[i].n);
	if (nr)
		fprintf(stderr, "%d words\n", nr);
	reply(out, at);
	free(out);
	free(words);
	free(text);
	return type >= 0;
}
