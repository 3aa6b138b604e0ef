/* SPDX-License-Identifier: GPL-2.0-only */
/* bench_fork.h - the trees that bench_fork.c and its peer go over. */
#ifndef BENCH_FORK_H
#define BENCH_FORK_H

#include <stdlib.h>

#define FIB_SERIAL	22	/* one thread: short, for a quiet moment */
#define FIB_WIDE	30	/* several threads: many heartbeats long */
#define FIB_PEER	20	/* a peer's forks take longer */
#define TREE_NODES	10000000L
#define TREE_PEER_NODES	100000L
#define SMALL_NODES	1000L
#define PEER_REPEATS	30

struct node {
	struct node *left, *right;
	long value;
};

/* Inner nodes of the calls of fib(n): one fork each. */
static inline double fib_forks(int n)
{
	double a = 0, b = 1, c;

	for (n++; n; n--) {
		c = a + b;
		a = b;
		b = c;
	}
	return a - 1;
}

static inline struct node *tree_build(struct node *nodes, long first, long nr)
{
	struct node *t;
	long left = (nr - 1) / 2;

	if (!nr)
		return NULL;
	t = &nodes[first];
	t->value = first % 1000;
	t->left = tree_build(nodes, first + 1, left);
	t->right = tree_build(nodes, first + 1 + left, nr - 1 - left);
	return t;
}

/* A balanced tree in the order in which it is gone over. */
static inline struct node *tree_grow(long nr)
{
	struct node *nodes = (struct node *)calloc((size_t)nr, sizeof(*nodes));

	return nodes ? tree_build(nodes, 0, nr) : NULL;
}

static long __attribute__((unused, noinline)) tree_sum(const struct node *t)
{
	return t->value + (t->left ? tree_sum(t->left) : 0) +
	       (t->right ? tree_sum(t->right) : 0);
}

#endif /* BENCH_FORK_H */
