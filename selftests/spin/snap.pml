/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A version that is swapped under its readers (ulib/base/snap.h).
 *
 * shows: no reader counts a reference on a version that was freed
 * twin read_first: a reader reads the pointer before it says that it is inside
 * twin no_wait: the writer does not wait for readers inside
 * twin one_phase: the writer looks at one of the two places only
 * twin put_first: a reader says that it has left before it counts its reference
 *
 * Operations are seq_cst, each one step. Versions are numbered; a freed one has
 * refs 0 and may not be touched.
 */
#define VERSIONS 4
#define READERS	2

byte cur;
byte turn;
byte inside[2];
byte refs[VERSIONS];
bool freed[VERSIONS];

inline put(v)
{
	d_step {
		assert(!freed[v] && refs[v] > 0);
		refs[v]--;
		if
		:: refs[v] == 0 -> freed[v] = true
		:: else
		fi
	}
}

proctype reader()
{
	byte i, v, n;

	do
	:: n == 2 -> break
	:: else ->
		n++;
#ifdef TWIN_read_first
		v = cur;
		i = turn & 1;
		inside[i]++;
#else
		i = turn & 1;
		inside[i]++;				/* A */
		v = cur;				/* B */
#endif
#ifdef TWIN_put_first
		inside[i]--;
		d_step { assert(!freed[v]); refs[v]++ }
#else
		d_step { assert(!freed[v]); refs[v]++ }
		inside[i]--;				/* E */
#endif
		put(v);
		v = 0;
		i = 0
	od
}

proctype writer()
{
	byte old, i, n;

	do
	:: n == VERSIONS - 1 -> break
	:: else ->
		n++;
		d_step { refs[n] = 1; old = cur; cur = n }	/* C */
#ifndef TWIN_no_wait
		d_step { i = turn & 1; turn++ }
		inside[i] == 0;				/* D */
#ifndef TWIN_one_phase
		d_step { i = turn & 1; turn++ }
		inside[i] == 0;				/* D */
#endif
#endif
		put(old)
	od
}

init
{
	byte k;

	atomic {
		refs[0] = 1;
		k = 0;
		do
		:: k < READERS -> run reader(); k++
		:: else -> break
		od;
		run writer()
	}
	timeout;
	assert(refs[VERSIONS - 1] == 1 && inside[0] == 0 && inside[1] == 0)
}
