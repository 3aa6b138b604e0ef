// SPDX-License-Identifier: GPL-2.0-only
/*
 * report.c - what a run has shown, for people and as JSON.
 */
#include "bench.h"

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static const char *kind(const struct args *a)
{
	return a->text ? "text" : "binary";
}

static void json_text(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if ((unsigned char)*s >= ' ')
			putchar(*s);
	}
	putchar('"');
}

static void as_json(const struct args *a, const struct result *r,
		    const struct pulse_histogram_summary *l)
{
	const struct figures *n = &r->n;

	printf("{\"url\":");
	json_text(a->url);
	printf(",\"connections\":%u,\"depth\":%u,\"threads\":%u,"
	       "\"size_bytes\":%llu,\"kind\":\"%s\",\"deflate\":%s,"
	       "\"rate\":%.3f,\"seconds\":%.6f,", a->connections, a->depth,
	       a->threads, (unsigned long long)a->size, kind(a),
	       a->deflate ? "true" : "false", a->rate, r->seconds);
	printf("\"messages\":%llu,\"messages_per_s\":%.1f,\"payload_bytes\":%llu,"
	       "\"verified\":%llu,\"mismatched\":%llu,\"broken\":%llu,"
	       "\"lost\":%llu,\"refused\":%llu,",
	       (unsigned long long)n->messages,
	       r->seconds > 0 ? (double)n->messages / r->seconds : 0,
	       (unsigned long long)n->bytes, (unsigned long long)n->verified,
	       (unsigned long long)n->mismatched, (unsigned long long)n->broken,
	       (unsigned long long)n->lost, (unsigned long long)n->refused);
	printf("\"latency_us\":{\"min\":%.3f,\"p50\":%.3f,\"p90\":%.3f,"
	       "\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f,\"mean\":%.3f},\"why\":",
	       us(l->min), us(l->p50), us(l->p90), us(l->p99), us(l->p999),
	       us(l->max), us(l->mean));
	json_text(r->why);
	puts("}");
}

static void as_text(const struct args *a, const struct result *r,
		    const struct pulse_histogram_summary *l)
{
	const struct figures *n = &r->n;
	double per_s = r->seconds > 0 ? (double)n->messages / r->seconds : 0;

	printf("%s: %u connection%s, %u deep, %llu bytes, %s%s, %u thread%s\n",
	       a->url, a->connections, a->connections == 1 ? "" : "s", a->depth,
	       (unsigned long long)a->size, kind(a),
	       a->deflate ? ", deflate" : "", a->threads,
	       a->threads == 1 ? "" : "s");
	printf("messages   %llu in %.2f s: %.0f/s, %.1f MB/s each way\n",
	       (unsigned long long)n->messages, r->seconds, per_s,
	       per_s * (double)a->size / 1e6);
	printf("latency    p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f us\n",
	       us(l->p50), us(l->p90), us(l->p99), us(l->p999), us(l->max));
	printf("answers    %llu verified, %llu wrong, %llu lost, "
	       "%llu connections broken, %llu refused\n",
	       (unsigned long long)n->verified,
	       (unsigned long long)n->mismatched, (unsigned long long)n->lost,
	       (unsigned long long)n->broken, (unsigned long long)n->refused);
}

void report(const struct args *a, const struct result *r)
{
	struct pulse_histogram_summary l = { .sz = sizeof(l) };

	pulse_histogram_summary(r->latency, &l);
	if (a->json)
		as_json(a, r, &l);
	else
		as_text(a, r, &l);
}
