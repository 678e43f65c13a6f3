#!/bin/bash
# hexdump.sh - savepoint hexdump shows what hexdump -C and od show
. "$(dirname "$0")/cli.bash"
make linear two_regions odd_names damaged_late
"$tool" export --quiet two_regions.svp HEAD heap --output folded.bin
"$tool" export --quiet linear.svp HEAD heap --output noise.bin

# The other hexdump is in Debian's bsdextrautils.
same_as_hexdump() {
    command -v hexdump >/dev/null || return 0
    hexdump -C -s "$3" -n "$4" "$2" >expected
    run 0 hexdump "$1" HEAD "heap:$3+$4"
    cmp out expected || fail "hexdump $1 from $3, $4 bytes"
    hexdump -Cv -s "$3" -n "$4" "$2" >expected
    run 0 hexdump --all "$1" HEAD "heap:$3+$4"
    cmp out expected || fail "hexdump --all $1 from $3, $4 bytes"
    silent err
}
for range in '0 65536' '0 1' '0 15' '0 16' '0 17' '0 32' '0 33' '5 4096' '12283 10' '12272 64' '4097 12000' '65535 1' \
    '12288 4096' '12287 4099' '100 20000'; do
    # shellcheck disable=SC2086 # two words
    same_as_hexdump two_regions.svp folded.bin $range
    # shellcheck disable=SC2086
    same_as_hexdump linear.svp noise.bin $range
done
for width in 1 2 7 8 9 12 16 31 32 64; do
    run 0 hexdump --all --width $width linear.svp HEAD heap:0+5000
    sed '$d' out | sed -E -e 's/^[0-9a-f]+ //' -e 's/  +\|.*$//' -e 's/  / /g' >ours
    od -An -v -tx1 -w$width -N 5000 noise.bin >theirs
    cmp ours theirs || fail "width $width: $(diff ours theirs | head -4)"
    run 0 hexdump --json --width $width linear.svp HEAD heap:3+5000
    sed -E 's/.*"hex":"([0-9a-f]*)".*/\1/' out | tr -d '\n' >ours
    od -An -v -tx1 -j 3 -N 5000 noise.bin | tr -d ' \n' >theirs
    cmp ours theirs || fail "--json --width $width"
done

shows_exactly() {
    cat >expected
    diff -u expected out || fail "see above"
}
run 0 hexdump two_regions.svp HEAD heap:0x2fe0+0x30
shows_exactly <<'END'
00002fe0  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00003000  68 68 68 68 68 68 68 68  68 68 68 68 68 68 68 68  |hhhhhhhhhhhhhhhh|
00003010
END
run 0 hexdump --json two_regions.svp HEAD heap:12280+20
shows_exactly <<'END'
{"offset":12280,"hex":"00000000000000006868686868686868"}
{"offset":12296,"hex":"68686868"}
END
run 0 hexdump --color=always two_regions.svp HEAD heap:0x2ffd+5
escape=$(printf '\033')
[ "$(cat out)" = "00002ffd  $escape[2m00 00 00$escape[0m 68 68                                    \
|$escape[2m...$escape[0mhh|
00003002" ] || fail "faint zeros: $(cat -v out)"
run 0 hexdump two_regions.svp HEAD heap:0+0
silent out

# Recorded addresses.
address=$("$tool" show --json two_regions.svp | sed -E 's/.*"name":"heap","address":"0x([0-9a-f]+)".*/\1/')
run 0 hexdump --address two_regions.svp HEAD heap:16+40
[ "$(sed -n 1p out | cut -d' ' -f1)" = "$(printf '%08x' $((0x$address + 16)))" ] || fail "first address"
[ "$(tail -n 1 out)" = "$(printf '%08x' $((0x$address + 56)))" ] || fail "last address"
run 0 hexdump -aj two_regions.svp HEAD heap:16+1
shows_exactly <<END
{"offset":16,"address":"$(printf '0x%x' $((0x$address + 16)))","hex":"00"}
END

# As many bytes in a row as the terminal has room for.
for columns in 40 44 45 60 77 78 200; do
    for option in --all --address; do
        COLUMNS=$columns run 0 hexdump $option linear.svp HEAD heap:0+256
        [ "$(wc -L <out)" -le $columns ] || fail "$option is $(wc -L <out) wide on $columns columns"
    done
done
COLUMNS=77 run 0 hexdump linear.svp HEAD heap:0+256
[ "$(wc -l <out)" = 33 ] || fail "8 bytes a row on 77 columns"
COLUMNS=78 run 0 hexdump linear.svp HEAD heap:0+256
[ "$(wc -l <out)" = 17 ] || fail "16 bytes a row on 78 columns"
COLUMNS=40 run 0 hexdump --json linear.svp HEAD heap:0+256
[ "$(wc -l <out)" = 16 ] || fail "JSON does not look at the terminal"

run 2 hexdump --width 65 linear.svp HEAD heap
run 2 hexdump --width x linear.svp HEAD heap
run 2 hexdump linear.svp HEAD heap:1+
run 6 hexdump damaged_late.svp HEAD heap:19K
[ "$(tail -n 1 out)" = 00005000 ] || fail "the rows before the damage"
has err "stopped at offset 20480 of region 'heap': the 1024 bytes before it are good"
finish
