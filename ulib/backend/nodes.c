// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * nodes.c - NUMA nodes, their distances and their CPUs, from sysfs.
 *
 * For the user backend alone, which may not know topo. What sysfs says is
 * bounded and doubted: a description that is missing, or cannot be, is one
 * node 0 at distance 10.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/backend.h"

#define PULSE__TEXT_MAX		8192	/* longest file that is believed */
#define PULSE__MAX_CPUS		8192

/* Reads a small file; its length, or -1 where it is missing or too long. */
static ssize_t pulse__slurp(const char *root, const char *name, char *buf,
			    size_t room)
{
	char path[512];
	size_t len = 0;
	ssize_t got;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", root, name) >=
	    (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	do {
		got = read(fd, buf + len, room - 1 - len);
		if (got > 0)
			len += (size_t)got;
	} while ((got > 0 && len < room - 1) || (got < 0 && errno == EINTR));
	close(fd);
	if (got < 0 || len == room - 1)
		return -1;
	buf[len] = 0;
	return (ssize_t)len;
}

static const char *pulse__parse_number(const char *s, unsigned int limit,
				       unsigned int *out)
{
	unsigned long v = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (unsigned int)(*s - '0');
		if (v >= limit)
			return NULL;
	}
	*out = (unsigned int)v;
	return s;
}

bool pulse__parse_list(const char *s, unsigned int limit,
		       void (*fn)(unsigned int nr, void *arg), void *arg)
{
	unsigned int first, last;

	while (*s && *s != '\n') {
		s = pulse__parse_number(s, limit, &first);
		if (!s)
			return false;
		last = first;
		if (*s == '-') {
			s = pulse__parse_number(s + 1, limit, &last);
			if (!s || last < first)
				return false;
		}
		while (first <= last)
			fn(first++, arg);
		if (*s == ',')
			s++;
		else if (*s && *s != '\n')
			return false;
	}
	return true;
}

struct pulse__found {
	int node[PULSE__MAX_NODES];
	unsigned int nr;
};

static void pulse__found_node(unsigned int nr, void *arg)
{
	struct pulse__found *f = arg;

	if (f->nr < PULSE__MAX_NODES)
		f->node[f->nr++] = (int)nr;
}

struct pulse__cpus {
	struct pulse__nodes *nodes;
	int node;
};

static void pulse__found_cpu(unsigned int cpu, void *arg)
{
	struct pulse__cpus *c = arg;

	c->nodes->cpu_node[cpu] = (int16_t)c->node;
	if (cpu >= c->nodes->nr_cpus)
		c->nodes->nr_cpus = cpu + 1;
}

/* "10 21 ...": one for each online node. */
static bool pulse__parse_row(const char *s, uint8_t *row, unsigned int nr)
{
	unsigned int v;

	for (unsigned int i = 0; i < nr; i++) {
		while (*s == ' ')
			s++;
		s = pulse__parse_number(s, 256, &v);
		if (!s || v < 10)
			return false;
		row[i] = (uint8_t)v;
	}
	return true;
}

static bool pulse__nodes_fill(const char *root, struct pulse__nodes *n,
			      char *text)
{
	char name[64];

	for (unsigned int i = 0; i < n->nr; i++) {
		struct pulse__cpus c = { n, n->node[i] };

		snprintf(name, sizeof(name), "node%d/cpulist", n->node[i]);
		if (pulse__slurp(root, name, text, PULSE__TEXT_MAX) < 0 ||
		    !pulse__parse_list(text, PULSE__MAX_CPUS,
				       pulse__found_cpu, &c))
			return false;
		snprintf(name, sizeof(name), "node%d/distance", n->node[i]);
		if (pulse__slurp(root, name, text, PULSE__TEXT_MAX) < 0 ||
		    !pulse__parse_row(text, n->dist + (size_t)i * n->nr, n->nr))
			return false;
	}
	return true;
}

static void pulse__nodes_single(struct pulse__nodes *n)
{
	n->nr = 1;
	n->node[0] = 0;
	n->dist[0] = 10;
	n->nr_cpus = 0;
}

int pulse__nodes_read(const char *root, struct pulse__nodes **out)
{
	struct pulse__found *found = pulse__calloc(1, sizeof(*found));
	struct pulse__nodes *n = pulse__calloc(1, sizeof(*n));
	char *text = pulse__malloc(PULSE__TEXT_MAX);
	int err = -ENOMEM;

	if (!found || !n || !text)
		goto out;
	if (pulse__slurp(root, "online", text, PULSE__TEXT_MAX) < 0 ||
	    !pulse__parse_list(text, PULSE__MAX_NODES, pulse__found_node,
			       found))
		found->nr = 0;

	n->nr = found->nr ? found->nr : 1;
	n->node = pulse__calloc(n->nr, sizeof(*n->node));
	n->dist = pulse__calloc(n->nr, n->nr);
	n->cpu_node = pulse__calloc(PULSE__MAX_CPUS, sizeof(*n->cpu_node));
	if (!n->node || !n->dist || !n->cpu_node)
		goto out;
	memcpy(n->node, found->node, found->nr * sizeof(*n->node));
	if (!found->nr || !pulse__nodes_fill(root, n, text))
		pulse__nodes_single(n);
	*out = n;
	n = NULL;
	err = 0;
out:
	pulse__nodes_free(n);
	pulse__free(found);
	pulse__free(text);
	return err;
}

void pulse__nodes_free(struct pulse__nodes *n)
{
	if (!n)
		return;
	pulse__free(n->node);
	pulse__free(n->dist);
	pulse__free(n->cpu_node);
	pulse__free(n);
}

int pulse__nodes_of_cpu(const struct pulse__nodes *n, unsigned int cpu)
{
	return cpu < n->nr_cpus ? n->cpu_node[cpu] : n->node[0];
}
