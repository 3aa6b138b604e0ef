/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The queue of a worker of the actors, who comes for what is left in it, and the
 * timer that looks after a worker that stays in one handler:
 * ulib/actor/queue.c, at whose head the protocols stand.
 *
 * shows: what is in a queue has its worker inside, or more on its way
 * case stays: the timer is on while a worker stays in a handler with a full slot
 * case gifts: another worker gives it actors, which it finds as those in its queue
 * twin leave_late: the worker asks before it says that it left
 * twin more_late: more takes its note away after it has looked
 * twin no_again: more does not ask again for what it left
 * twin give_blind: (of gifts) who gives does not look whether it is inside
 * twin no_look: (of stays) the timer does not look again when it goes
 *
 * Two tasks of the worker, one after the other; who runs more takes one.
 */
#if defined(CASE_stays) || defined(TWIN_no_look)
#define STAYS
#endif
#if defined(CASE_gifts) || defined(TWIN_give_blind)
#define GIFTS
#endif
#define TASKS	2
#define PUSHES	2
#define HELPERS	2

byte queue, more, depth;
bool asked, ticking, slot;

/* queue.c:pulse__arunner_ask */
inline ask(was)
{
	d_step { was = asked; asked = true }
	if
	:: !was -> more++
	:: else
	fi
}

inline pop(got)
{
	d_step { got = (queue > 0); queue = (got -> queue - 1 : queue) }
}

/* run.c:pulse__arunner_go, with what it runs; it may leave at any time */
proctype worker()
{
	byte tasks, pushes;
	bool was, some;

	do
	:: tasks == TASKS -> break
	:: else ->
		tasks++;
		depth = 1;
		pushes = 0;
		do
		:: pushes < PUSHES -> queue++; pushes++
		:: pop(some)
		:: break
		od;
#ifndef TWIN_leave_late
		depth = 0;
#endif
		if
		:: queue > 0 -> ask(was)
		:: else
		fi;
		depth = 0
	od;
#ifdef STAYS
	depth = 1;
	slot = true;
	/* pulse__arunner_watch */
	d_step { was = ticking; ticking = true }
#endif
}

/* run.c:pulse__actor_more in another worker */
proctype helper()
{
	bool was, some;

end:	do
	:: d_step { more > 0 -> more-- };
#ifndef TWIN_more_late
		asked = false;
#endif
		pop(some);
#ifndef TWIN_no_again
		if
		:: queue > 0 && depth == 0 -> ask(was)
		:: else
		fi;
#endif
#ifdef TWIN_more_late
		asked = false;
#endif
		skip
	od
}

#ifdef GIFTS
/* queue.c:pulse__arunner_give; gifts and queue are one here */
proctype giver()
{
	bool was;
	byte given;

	do
	:: given == 2 -> break
	:: else ->
		given++;
		queue++;
#ifndef TWIN_give_blind
		if
		:: depth == 0 -> ask(was)
		:: else
		fi
#endif
	od
}
#endif

#ifdef STAYS
/* queue.c:pulse__actors_tick */
proctype timer()
{
	byte rounds;
	bool busy, was;

end:	do
	:: ticking && rounds < 4 ->
		rounds++;
		busy = (depth || queue > 0);
		if
		:: !busy ->
			ticking = false;
#ifndef TWIN_no_look
			busy = (depth || queue > 0);
			if
			:: busy -> d_step { was = ticking; ticking = true }
			:: else
			fi
#endif
		:: else
		fi
	od
}
#endif

init
{
	byte i;

	atomic {
		run worker();
		for (i : 1 .. HELPERS) { run helper() }
#ifdef GIFTS
		run giver();
#endif
#ifdef STAYS
		ticking = true;
		run timer();
#endif
	}
	timeout;
	assert(queue == 0 || depth);
	assert(!slot || ticking)
}
