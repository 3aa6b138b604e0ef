/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instances of a type of actors, listed from the first question for them on:
 * ulib/actor/type.c, at whose head the protocol stands.
 *
 * shows: once somebody has asked, those that have begun and not ended are listed, and no others
 * case fenced: no membarrier, both sides have a fence
 * twin no_heavy: who asks does without membarrier
 * twin look_first: who begins or ends looks before it says so
 * twin no_again: who is listed by the one that asks lists itself again
 * twin end_blind: who ends does not look whether it is listed
 *
 * Each store of begun lies in a store buffer of one entry, which drains whenever
 * it likes; the load of indexed does not wait for that.
 */
#define ACTORS	2

bool begun[ACTORS], value[ACTORS], pending[ACTORS];
bool indexed, lock;
byte listed[ACTORS];		/* how often; under the lock */
bool lives[ACTORS];		/* ghost: what begun is to be */

proctype drain(byte me)
{
end:	do
	:: atomic { pending[me] -> begun[me] = value[me]; pending[me] = false }
	od
}

/* type.c:pulse__atype_indexed */
inline say(what)
{
#ifdef TWIN_look_first
	seen = indexed;
#endif
	atomic { !pending[me] -> pending[me] = true; value[me] = what; lives[me] = what };
#ifdef CASE_fenced
	!pending[me];						/* A: a fence */
#endif
#ifndef TWIN_look_first
	seen = indexed						/* A: light */
#endif
}

proctype actor(byte me)
{
	bool seen;

	/* pulse__atype_add */
	say(true);
	if
	:: seen ->
		atomic { !lock -> lock = true; !pending[me] };
#ifdef TWIN_no_again
		listed[me]++;
#else
		if
		:: !listed[me] -> listed[me]++
		:: else
		fi;
#endif
		lock = false
	:: else
	fi;
	/* it may live on */
	if
	:: true ->
		/* pulse__atype_del */
		say(false);
#ifndef TWIN_end_blind
		if
		:: seen ->
			atomic { !lock -> lock = true; !pending[me] };
			if
			:: listed[me] -> listed[me]--
			:: else
			fi;
			lock = false
		:: else
		fi
#endif
	:: true
	fi
}

/* pulse__atype_index */
proctype asker()
{
	byte i;

	atomic { !lock -> lock = true };
	indexed = true;
#if !defined(TWIN_no_heavy) && !defined(CASE_fenced)
	for (i : 0 .. ACTORS - 1) { !pending[i] }		/* B */
#endif
	for (i : 0 .. ACTORS - 1) {
		if
		:: begun[i] && !listed[i] -> listed[i]++
		:: else
		fi
	}
	lock = false
}

init
{
	byte i;

	atomic {
		for (i : 0 .. ACTORS - 1) { run drain(i); run actor(i) }
		run asker()
	}
	timeout;
	for (i : 0 .. ACTORS - 1) { assert(listed[i] == lives[i]) }
}
