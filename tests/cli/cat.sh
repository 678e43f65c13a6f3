#!/bin/bash
# cat.sh - savepoint cat: the right bytes of the right place, and none behind damage
. "$(dirname "$0")/cli.bash"
make linear two_regions odd_names large damaged damaged_late torn

# cat_is ARCHIVE PLACE: the bytes on standard input are what cat writes
cat_is() {
    cat >expected
    run 0 cat "$1" HEAD "$2"
    cmp out expected || fail "cat $1 HEAD $2"
    silent err
}

# part FILE OFFSET LENGTH
part() {
    dd "if=$1" "skip=$2" "count=$3" bs=64K iflag=skip_bytes,count_bytes status=none
}

"$tool" export --quiet linear.svp HEAD --output heap.bin
"$tool" export --quiet linear.svp one --output one.bin
cat_is linear.svp heap <heap.bin
run 0 cat linear.svp one heap
cmp out one.bin || fail "an older snapshot"
while read -r place offset length; do
    part heap.bin "$offset" "$length" | cat_is linear.svp "heap:$place"
done <<'END'
0 0 65536
0+0 0 0
0+1 0 1
1+4096 1 4096
4095+2 4095 2
0x10+0x1F 16 31
0X10+0x1f 16 31
4096+61440 4096 61440
4K+8k 4096 8192
0x1K+1 1024 1
010+1 10 1
60K+4K 61440 4096
65536 65536 0
64k+0 65536 0
END
cat_is linear.svp heap:60K < <(tail -c 4096 heap.bin)
"$tool" export --quiet large.svp HEAD --output field.bin
cat_is large.svp field:1048575+2M < <(part field.bin 1048575 2097152)
cat_is large.svp field:7M < <(tail -c 1048576 field.bin)
cat_is two_regions.svp ../world:8000 < <(head -c 192 /dev/zero | tr '\0' w)

# What is no place.
for place in heap: heap:x heap:1+ heap:1+2+3 heap:+1 heap:-1 heap:1K2 heap:1T heap:0x heap:0xg heap:1.5K 'heap: 1' \
    heap:18446744073709551616x heap:0+18446744073709551616x; do
    run 2 cat linear.svp HEAD "$place"
    silent out
    has err "is no OFFSET\[\+LENGTH\], such as 4096, 0x1000, 4K or 4K\+256$"
done
for range in 18446744073709551616 0x10000000000000000 17179869184G 18446744073709551616+1 0+18446744073709551616; do
    run 2 cat linear.svp HEAD "heap:$range"
    silent out
    has err "^savepoint: cat: heap: ${range/+/[+]} is too large, the most is 65536$"
done
for place in heap:65537 heap:16383M heap:0xffffffffffffffff heap:17179869183G; do
    run 2 cat linear.svp HEAD "$place"
    silent out
    has err "region 'heap' ends at 65536, before offset [0-9]+$"
done
for place in heap:65535+2 heap:0+65537 heap:64K+1 heap:1+0xffffffffffffffff; do
    run 2 cat linear.svp HEAD "$place"
    silent out
    has err "region 'heap' ends at 65536: from offset [0-9]+ there are [0-9]+ bytes$"
done
for place in heep heep:16 heep:1+2; do
    run 2 cat linear.svp HEAD $place
    has err "the snapshot has no region 'heep'; did you mean 'heap'\?$"
done
run 2 cat linear.svp HEAD ''
run 2 cat linear.svp HEAD :16
run 2 cat linear.svp nothing heap
has err 'This lists what is there: savepoint log --all linear.svp$'
run 2 cat linear.svp HEAD
run 3 cat missing.svp HEAD heap
echo "no archive" >text
run 5 cat text HEAD heap

# Names with ':' and '+': the whole name comes first, and that is said.
run 0 cat odd_names.svp HEAD heap:16
cmp out <(head -c 4096 /dev/zero | tr '\0' w) || fail "the region heap:16"
has err "'heap:16' is the name of a region, and that one is meant; .* as in 'heap:0x10'$"
run 0 cat --quiet odd_names.svp HEAD heap:16
silent err
"$tool" export --quiet odd_names.svp HEAD heap --output odd.bin
cat_is odd_names.svp heap:0x10 < <(tail -c +17 odd.bin)
cat_is odd_names.svp heap:16+7 < <(part odd.bin 16 7)
cat_is odd_names.svp heap:16:4090 < <(printf wwwwww)
cat_is odd_names.svp a+b:c < <(head -c 4096 /dev/zero | tr '\0' a)
cat_is odd_names.svp a+b:c:1+2 < <(printf aa)
cat_is odd_names.svp 0x10:0+3 < <(printf xxx)

# Damage: what stands before it is written, nothing behind, and both are said.
run 6 cat damaged_late.svp HEAD heap
"$tool" cat damaged_late.svp good heap:0+20K | cmp - out || fail "the good part"
has err "damaged_late.svp: stopped at offset 20480 of region 'heap': the 20480 bytes before it are good"
run 6 cat damaged_late.svp HEAD heap:100+40K
[ "$(wc -c <out)" = 20380 ] || fail "wrote $(wc -c <out) bytes"
has err "stopped at offset 20480 of region 'heap': the 20380 bytes before it are good"
run 0 cat damaged_late.svp HEAD heap:24K
run 0 cat damaged_late.svp HEAD heap:0+20K
run 6 cat damaged.svp bad heap
silent out
has err "nothing of region 'heap' was written$"
has err 'Keep a copy of the file'
run 0 cat damaged.svp 'also good' heap
run 0 cat torn.svp HEAD heap
has err 'torn tail'
run 0 cat -q torn.svp HEAD heap:0+1
finish
