/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A wake-up for one of many, and the one it chose does not come: it dies, or it
 * found a reason to leave (WORKER_DEL). Who leaves passes on: when nobody can
 * choose it any more, it wakes one other of its node.
 *
 * shows: work for a node is not forgotten with the worker that was chosen for it
 * case by_word: chosen by the park word (pulse__wake_set), which is set back by whoever leaves
 * twin no_pass_on: whoever leaves takes the wake-up along
 * twin pass_on_early: passed on while WAKE_NODE may still choose who leaves
 * twin word_stays: as by_word, but the word is left PARKING
 *
 * Worker 0 announces that it parks and then leaves, from wherever. Worker 1
 * works for ever. One publishes for both and wakes one: with WAKE_NODE, or as
 * the library does it by itself, with a cmpxchg. A thread that dies cannot set
 * its word back; WAKE_NODE does not choose dead slots, the library's way must
 * not find their words PARKING (by_word).
 */
#define RUNNING		0
#define PARKING		1
#define NOTIFIED	2

#if defined(TWIN_word_stays) || defined(CASE_by_word)
#define BY_WORD		1
#else
#define BY_WORD		0
#endif

byte ring;
byte park[2];
bool permit[2], parked[2], sleeper[2], idle[2];
bool member[2] = true;			/* slot is live, and in its node's set */

inline pulse_give(i, had)
{
	d_step { had = permit[i]; permit[i] = true };	/* (D) */
	if
	:: !had -> parked[i] = (sleeper[i] -> false : parked[i])
	:: else
	fi
}

/* node.c:pulse_wake_members, nr = 1 */
inline pulse_wake_node(i, may, had)
{
	i = 0;
	do
	:: i < 2 ->
		had = true;
		if
		:: permit[i] || !member[i]
		:: else ->
			may = idle[i];
			may = (may || park[i] == PARKING);
			if
			:: may -> may = false; pulse_give(i, had)
			:: else
			fi
		fi;
		if
		:: had -> had = false
		:: else -> break
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* ulib park.c:pulse__wake_set, nr = 1 */
inline pulse_wake_set(i, may, had)
{
	i = 0;
	do
	:: i < 2 ->
		d_step {			/* pulse__notify */
			may = (park[i] == PARKING);
			park[i] = (may -> NOTIFIED : park[i])
		};
		if
		:: may ->
			may = false;
			if
			:: member[i] -> pulse_give(i, had); had = false
			:: else			/* ESRCH */
			fi;
			break
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

proctype leaver()
{
	byte i;
	bool may, had;

	park[0] = PARKING;
	if
	:: true					/* a reason to leave, or a signal */
	:: sleeper[0] = true;
	   parked[0] = true;
	   if
	   :: permit[0] -> permit[0] = false
	   :: else ->
		idle[0] = true;
		if
		:: !parked[0] && permit[0] -> permit[0] = false
		:: true				/* deadline or signal */
		fi;
	   fi;
	   parked[0] = false;
	   sleeper[0] = false;
	   idle[0] = false
	fi;
#ifndef TWIN_word_stays
	if
	:: park[0] = RUNNING			/* by WORKER_DEL */
	:: !BY_WORD				/* by death */
	fi;
#endif
#ifdef TWIN_pass_on_early
	pulse_wake_node(i, may, had);
#endif
	member[0] = false;			/* pulse_worker_release; full barrier */
#if !defined(TWIN_no_pass_on) && !defined(TWIN_pass_on_early)
	pulse_wake_node(i, may, had)
#endif
}

proctype stayer()
{
	do
	:: ring > 0 -> ring--
	:: else ->
		park[1] = PARKING;		/* (B) */
		if
		:: ring > 0 && park[1] == PARKING -> park[1] = RUNNING
		:: else ->
			sleeper[1] = true;
again:			parked[1] = true;
			if
			:: permit[1] -> permit[1] = false
			:: else ->
				if
				:: !idle[1] && park[1] != PARKING	/* EAGAIN */
				:: else ->
					idle[1] = true;
end:					!parked[1];
					goto again
				fi
			fi;
			parked[1] = false;
			sleeper[1] = false;
			idle[1] = false;
			park[1] = RUNNING
		fi
	od
}

proctype publisher()
{
	byte i;
	bool may, had;

	ring++;					/* (A), (E) full barrier after */
	if
	:: BY_WORD -> pulse_wake_set(i, may, had)
	:: else -> pulse_wake_node(i, may, had)
	fi
}

init
{
	atomic {
		run leaver();
		run stayer();
		run publisher()
	}
	timeout;
	assert(ring == 0)
}
