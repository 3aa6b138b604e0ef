;; SPDX-License-Identifier: GPL-2.0-only
;; What it does is told by the event's type. It keeps a count from event to event.
(module
 (import "pulse" "log" (func $log (param i32 i32 i32)))
 (import "pulse" "message_len" (func $len (result i32)))
 (import "pulse" "message_read" (func $read (param i32 i32 i32) (result i32)))
 (import "pulse" "reply" (func $reply (param i32 i32) (result i32)))
 (memory (export "memory") 1 8)
 (table 4 funcref)
 (type $v (func)) (type $i (func (result i32)))
 (func $nothing (type $v))
 (elem (i32.const 1) $nothing)
 (global $count (mut i32) (i32.const 0))
 (data (i32.const 16) "hello")
 (func $deep (param i32) (result i32)
  (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
 (func (export "pulse_handle") (param $t i32) (result i32)
  (local $n i32)
  (global.set $count (i32.add (global.get $count) (i32.const 1)))
  ;; 1: log, and reply with the message and the count
  (if (i32.eq (local.get $t) (i32.const 1)) (then
   (call $log (i32.const 2) (i32.const 16) (i32.const 5))
   (local.set $n (call $read (i32.const 1024) (i32.const 0) (call $len)))
   (i32.store8 (i32.add (i32.const 1024) (local.get $n))
    (i32.add (i32.const 48) (global.get $count)))
   (drop (call $reply (i32.const 1024) (i32.add (local.get $n) (i32.const 1))))
   (return (i32.const 1))))
  ;; 2: go on; 3: an error; 4: what is no errno
  (if (i32.eq (local.get $t) (i32.const 2)) (then (return (i32.const 0))))
  (if (i32.eq (local.get $t) (i32.const 3)) (then (return (i32.const -13))))
  (if (i32.eq (local.get $t) (i32.const 4)) (then (return (i32.const -100000))))
  ;; 10: unreachable; 11: loads beyond the end; 12: stores; 13: an endless loop
  (if (i32.eq (local.get $t) (i32.const 10)) (then unreachable))
  (if (i32.eq (local.get $t) (i32.const 11)) (then (return (i32.load (i32.const 65533)))))
  (if (i32.eq (local.get $t) (i32.const 12)) (then (i64.store offset=4294967290 (i32.const -1) (i64.const 1))))
  (if (i32.eq (local.get $t) (i32.const 13)) (then (loop $l (br $l))))
  ;; 14: endless recursion; 15: division; 16: overflow; 17: conversion
  (if (i32.eq (local.get $t) (i32.const 14)) (then (return (call $deep (i32.const 0)))))
  (if (i32.eq (local.get $t) (i32.const 15)) (then (return (i32.div_u (i32.const 1) (i32.sub (local.get $t) (i32.const 15))))))
  (if (i32.eq (local.get $t) (i32.const 16)) (then (return (i32.div_s (i32.const -2147483648) (i32.sub (i32.const 15) (local.get $t))))))
  (if (i32.eq (local.get $t) (i32.const 17)) (then (return (i32.trunc_f32_s (f32.const nan)))))
  ;; 18: an empty place of the table; 19: another type; 20: beyond the table
  (if (i32.eq (local.get $t) (i32.const 18)) (then (call_indirect (type $v) (i32.const 0))))
  (if (i32.eq (local.get $t) (i32.const 19)) (then (return (call_indirect (type $i) (i32.const 1)))))
  (if (i32.eq (local.get $t) (i32.const 20)) (then (call_indirect (type $v) (i32.const 99))))
  ;; 21: text, 22: a message, 23: a reply beyond the end of its memory
  (if (i32.eq (local.get $t) (i32.const 21)) (then (call $log (i32.const 0) (i32.const 65530) (i32.const 7))))
  (if (i32.eq (local.get $t) (i32.const 22)) (then (return (call $read (i32.const -1) (i32.const 0) (i32.const 3)))))
  (if (i32.eq (local.get $t) (i32.const 23)) (then (return (call $reply (i32.const 0) (i32.const -1)))))
  ;; 30: grow as far as it goes, and write to the last byte: answers the pages
  (if (i32.eq (local.get $t) (i32.const 30)) (then
   (loop $g (br_if $g (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
   (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 7))
   (return (memory.size))))
  ;; 31: grow by more than there can be
  (if (i32.eq (local.get $t) (i32.const 31)) (then (return (i32.add (i32.const 2) (memory.grow (i32.const 65536))))))
  ;; 32: a reply of one page
  (if (i32.eq (local.get $t) (i32.const 32)) (then (return (i32.add (i32.const 2) (call $reply (i32.const 0) (i32.const 65536))))))
  (i32.const 1)))
