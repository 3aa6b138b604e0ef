// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_actor.cc - the cases of bench_actor.c, which starts it, with CAF. Says
 * nanoseconds or bytes, or fails without CAF.
 *
 * usage: peer_actor CASE threads
 */
#include <cstdio>

#if __has_include(<caf/all.hpp>)
#include <caf/all.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <unistd.h>
#include <vector>

#include "bench_actor.h"

using namespace caf;

static double now_ns()
{
	return (double)std::chrono::duration_cast<std::chrono::nanoseconds>(
		std::chrono::steady_clock::now().time_since_epoch()).count();
}

static std::promise<void> done;

struct pass_state {
	actor next;
};

static behavior pass_on(stateful_actor<pass_state> *self)
{
	return {
		[=](const actor &next) { self->state.next = next; },
		[=](uint64_t left) {
			if (left)
				self->send(self->state.next, left - 1);
			else
				done.set_value();
		},
	};
}

struct count_state {
	long left;
};

static behavior count_down(stateful_actor<count_state> *self, long left)
{
	self->state.left = left;
	return {
		[=](uint64_t) {
			if (!--self->state.left)
				done.set_value();
		},
	};
}

static behavior flood(stateful_actor<count_state> *self, actor to, long left)
{
	self->state.left = left;
	return {
		[=](uint64_t) {
			for (int i = 0; i < 100 && self->state.left; i++, self->state.left--)
				self->send(to, uint64_t(1));
			if (self->state.left)
				self->send(self, uint64_t(0));
		},
	};
}

static std::atomic<long> alive;

static behavior once(event_based_actor *self)
{
	return {
		[=](uint64_t) {
			self->quit();
			if (!--alive)
				done.set_value();
		},
	};
}

struct big_state {
	uint64_t chance;
	long left;
};

static std::vector<actor> bigs;
static std::atomic<long> asking;

/* 0 asks, 1 answers. */
static behavior big(stateful_actor<big_state> *self, uint64_t chance)
{
	self->state.chance = chance;
	self->state.left = BIG_ASKS;
	return {
		[=](uint64_t what) {
			auto &b = self->state;

			if (!what) {
				self->send(actor_cast<actor>(self->current_sender()), uint64_t(1));
			} else if (b.left--) {
				b.chance = CHANCE(b.chance);
				self->send(bigs[b.chance % BIG], uint64_t(0));
			} else if (!--asking) {
				done.set_value();
			}
		},
	};
}

struct place_state {
	strong_actor_ptr waits;
	uint64_t colour;
	long left = MEETINGS;
};

static behavior place(stateful_actor<place_state> *self)
{
	return {
		[=](uint64_t colour) {
			auto &p = self->state;

			if (!p.left)
				return;
			if (!p.waits) {
				p.waits = self->current_sender();
				p.colour = colour;
				return;
			}
			self->send(actor_cast<actor>(p.waits), colour);
			self->send(actor_cast<actor>(self->current_sender()), p.colour);
			p.waits = nullptr;
			if (!--p.left)
				done.set_value();
		},
	};
}

struct creature_state {
	uint64_t colour;
};

static behavior creature(stateful_actor<creature_state> *self, actor where, uint64_t colour)
{
	self->state.colour = colour;
	self->send(where, colour);
	return {
		[=](uint64_t other) {
			auto &c = self->state.colour;

			if (other != c)
				c = 3 - c - other;
			self->send(where, c);
		},
	};
}

struct fork_state {
	uint64_t sum = 1;
	int left = 2;
};

static behavior forks(stateful_actor<fork_state> *self, actor parent, uint64_t depth)
{
	if (!depth) {
		self->send(parent, uint64_t(1));
		return {};
	}
	for (int i = 0; i < 2; i++)
		self->spawn(forks, actor(self), depth - 1);
	return {
		[=](uint64_t sum) {
			auto &f = self->state;

			f.sum += sum;
			if (--f.left)
				return;
			if (parent)
				self->send(parent, f.sum);
			else if (f.sum == FORKED)
				done.set_value();
			self->quit();
		},
	};
}

static double resident()
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	actor_system_config cfg;
	cfg.set("scheduler.max-threads", (size_t)atoi(argv[2]));
	actor_system sys{cfg};
	const char *what = argv[1];
	double begin = now_ns(), per = 0;

	if (!strcmp(what, "idle")) {
		std::vector<actor> all;

		all.reserve(IDLE);
		begin = resident();
		for (int i = 0; i < IDLE; i++)
			all.push_back(sys.spawn(once));
		printf("%.1f\n", (resident() - begin) / IDLE);
		fflush(stdout);
		_exit(0);
	}
	if (!strcmp(what, "ping-pong") || !strcmp(what, "ring")) {
		int nr = *what == 'p' ? 2 : RING;
		std::vector<actor> all;

		for (int i = 0; i < nr; i++)
			all.push_back(sys.spawn(pass_on));
		for (int i = 0; i < nr; i++)
			anon_send(all[i], all[(i + 1) % nr]);
		begin = now_ns();
		anon_send(all[0], uint64_t(*what == 'p' ? 2 * PINGS : HOPS));
		per = *what == 'p' ? PINGS : HOPS;
	} else if (!strcmp(what, "mailbox")) {
		auto to = sys.spawn(count_down, (long)MESSAGES);

		anon_send(sys.spawn(flood, actor(to), (long)MESSAGES), uint64_t(0));
		per = MESSAGES;
	} else if (!strcmp(what, "fan-in")) {
		auto to = sys.spawn(count_down, (long)SENDERS * FAN_MESSAGES);

		for (int i = 0; i < SENDERS; i++)
			anon_send(sys.spawn(flood, actor(to), (long)FAN_MESSAGES),
				  uint64_t(0));
		per = (double)SENDERS * FAN_MESSAGES;
	} else if (!strcmp(what, "spawn")) {
		alive = SPAWNS;
		for (int i = 0; i < SPAWNS; i++)
			anon_send(sys.spawn(once), uint64_t(0));
		per = SPAWNS;
	} else if (!strcmp(what, "big")) {
		for (int i = 0; i < BIG; i++)
			bigs.push_back(sys.spawn(big, uint64_t(i + 1)));
		asking = BIG;
		begin = now_ns();
		for (auto &b : bigs)
			anon_send(b, uint64_t(1));
		per = (double)BIG * BIG_ASKS;
	} else if (!strcmp(what, "chameneos")) {
		auto where = sys.spawn(place);

		for (int i = 0; i < CREATURES; i++)
			sys.spawn(creature, actor(where), uint64_t(i % 3));
		per = MEETINGS;
	} else if (!strcmp(what, "fork-join")) {
		sys.spawn(forks, actor(), uint64_t(FORK_DEPTH));
		per = FORKED;
	} else {
		return 2;
	}
	done.get_future().wait();
	printf("%.1f\n", (now_ns() - begin) / per);
	fflush(stdout);
	_exit(0);
}
#else
int main()
{
	fprintf(stderr, "peer_actor: built without CAF (libcaf-dev)\n");
	return 1;
}
#endif
