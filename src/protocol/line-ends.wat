;; The search of line-ends.ts, sixteen octets at a time: a third of the time of a large message went into looking for its line ends.
;; `node dist/scripts/wasm.js` writes line-ends-wasm.ts from this file; a test holds them together.
(module
  (memory (export "memory") 18 18)

  ;; Address of the first octet in [at, to) that is an LF without a CR before it, anything but an LF after a CR, a dot after an LF,
  ;; or a NUL; `to` if there is none. The octet before `at` is read.
  (func (export "find") (param $at i32) (param $to i32) (result i32)
    (local $now v128)
    (local $before v128)
    (local $found i32)
    (block $last
      (loop $next
        (br_if $last (i32.gt_u (local.get $at) (i32.sub (local.get $to) (i32.const 16))))
        (local.set $now (v128.load (local.get $at)))
        (local.set $before (v128.load (i32.sub (local.get $at) (i32.const 1))))
        (local.set $found
          (i8x16.bitmask
            (v128.or
              (v128.or
                (v128.xor
                  (i8x16.eq (local.get $now) (i8x16.splat (i32.const 10)))
                  (i8x16.eq (local.get $before) (i8x16.splat (i32.const 13))))
                (v128.and
                  (i8x16.eq (local.get $now) (i8x16.splat (i32.const 46)))
                  (i8x16.eq (local.get $before) (i8x16.splat (i32.const 10)))))
              (i8x16.eq (local.get $now) (v128.const i32x4 0 0 0 0)))))
        (if (local.get $found)
          (then (return (i32.add (local.get $at) (i32.ctz (local.get $found))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    ;; Fewer than sixteen are left.
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $at) (local.get $to)))
        (if
          (i32.or
            (i32.or
              (i32.xor
                (i32.eq (i32.load8_u (local.get $at)) (i32.const 10))
                (i32.eq (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 13)))
              (i32.and
                (i32.eq (i32.load8_u (local.get $at)) (i32.const 46))
                (i32.eq (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 10))))
            (i32.eqz (i32.load8_u (local.get $at))))
          (then (return (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $to)))
