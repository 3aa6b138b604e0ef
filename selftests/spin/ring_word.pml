/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring that nobody can stall (ulib/lockfree/ring_word.c): turn and word are
 * exchanged as one, positions are moved by whoever comes next. Who pushes or
 * pops may be killed between any two steps, and nobody comes in his stead.
 *
 * shows: no word twice, none lost or torn, in order; who is killed holds up nobody
 * case one_in: one pushes and may be killed, two pop
 * twin no_help_in: a push waits for the position to be moved by him who filled it
 * twin no_help_out: the same of a pop
 * twin two_steps: a push moves the turn before the word is there
 * twin follow_by_store: the position is moved by a store
 * twin swap_turn_only: a push exchanges the turn and writes the word before that
 *
 * Words are counted by the ghosts when they go in or out. Somebody who is left
 * must be able to fill the ring and to empty it again at the end.
 */
#define N	2

#if defined(CASE_one_in)
#define PUSHERS		1
#define POPPERS		2
#define EACH		3
#else
#define PUSHERS		2
#define POPPERS		1
#ifdef TWIN_follow_by_store
#define EACH		3			/* a lap while one sleeps */
#else
#define EACH		2
#endif
#endif

byte enqueue, dequeue;
byte turn[N], word[N];
byte kills = 1;

byte in, out;				/* ghosts: how many went in and out */
byte order[16];				/* ghost: what went in, in order */
byte over;				/* who is done or dead */

#define LAP(p)	(((p) / N) * 2)

inline follow(side, p)
{
#ifdef TWIN_follow_by_store
	side = p + 1
#else
	atomic {
		if
		:: side == p -> side = p + 1
		:: else
		fi
	}
#endif
}

inline maybe_killed()
{
	if
	:: atomic { kills > 0 -> kills-- }; goto done
	:: true
	fi
}

/* @got: 1 it went in, 0 full */
inline push(value, got)
{
	got = 2;
	do
	:: got != 2 -> break
	:: else ->
		p = enqueue;
		t = turn[p % N];				/* D, acquire */
		w = word[p % N];
		if
		:: t == LAP(p) ->
#if defined(TWIN_two_steps)
			atomic {
				if
				:: turn[p % N] == t ->
					turn[p % N] = t + 1;
					order[in] = value; in++; got = 1
				:: else
				fi
			};
			if
			:: got == 1 -> word[p % N] = value
			:: else
			fi;
#elif defined(TWIN_swap_turn_only)
			word[p % N] = value;
			atomic {
				if
				:: turn[p % N] == t ->
					turn[p % N] = t + 1;
					order[in] = value; in++; got = 1
				:: else
				fi
			};
#else
			atomic {				/* A, of 16 bytes */
				if
				:: turn[p % N] == t && word[p % N] == w ->
					turn[p % N] = t + 1;
					word[p % N] = value;
					order[in] = value; in++; got = 1
				:: else
				fi
			};
#endif
			maybe_killed();
			if
			:: got == 1 -> follow(enqueue, p)
			:: else
			fi
		:: t == LAP(p) + 1 || t == LAP(p) + 2 ->
#ifdef TWIN_no_help_in
			enqueue != p
#else
			follow(enqueue, p)
#endif
		:: else ->
			if
			:: enqueue == p -> assert(p >= N && t == LAP(p) - 1); got = 0
			:: else
			fi
		fi
	od
}

inline pop(value, got)
{
	got = 2;
	do
	:: got != 2 -> break
	:: else ->
		p = dequeue;
		t = turn[p % N];				/* B, acquire */
		if
		:: t == LAP(p) + 1 ->
			w = word[p % N];
			atomic {				/* C, release */
				if
				:: turn[p % N] == t ->
					turn[p % N] = LAP(p) + 2;
					assert(out < in && order[out] == w);
					out++; value = w; got = 1
				:: else
				fi
			};
			maybe_killed();
			if
			:: got == 1 -> follow(dequeue, p)
			:: else
			fi
		:: t == LAP(p) + 2 || t == LAP(p) + 3 ->
#ifdef TWIN_no_help_out
			dequeue != p
#else
			follow(dequeue, p)
#endif
		:: else ->
			if
			:: dequeue == p -> assert(t == LAP(p)); got = 0
			:: else
			fi
		fi
	od
}

proctype pusher(byte me)
{
	byte p, t, w, got, n;

	do
	:: n == EACH -> break
	:: else ->
		push(me * EACH + n + 1, got);		/* or it is full: given up */
		n++;
		d_step { p = 0; t = 0; w = 0; got = 0 }
	od;
done:	skip;
	d_step { p = 0; t = 0; w = 0; got = 0; n = 0; over++ }
}

proctype popper()
{
	byte p, t, w, got, n, value;

	do
	:: n == 1 -> break
	:: else ->
		pop(value, got);
		if
		:: got == 0 -> n++
		:: else
		fi;
		d_step { p = 0; t = 0; w = 0; got = 0; value = 0 }
	od;
done:	skip;
	d_step { p = 0; t = 0; w = 0; got = 0; n = 0; value = 0; over++ }
}

init
{
	byte k, p, t, w, got, value;

	atomic {
		for (k : 0 .. PUSHERS - 1) {
			run pusher(k)
		}
		for (k : 1 .. POPPERS) {
			run popper()
		}
	}
	/* Whatever became of them, who comes now fills the ring and empties it. */
	over == PUSHERS + POPPERS;
	kills = 0;
	do
	:: in - out == N -> break
	:: else -> push(77, got); assert(got == 1)
	od;
	push(78, got);
	assert(got == 0);
	do
	:: in == out -> break
	:: else -> pop(value, got); assert(got == 1)
	od;
	pop(value, got);
	assert(got == 0 && in == out && enqueue == dequeue);
done:	skip
}
