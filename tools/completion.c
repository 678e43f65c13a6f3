/* completion.c - savepoint completion: scripts that let shells complete the words of this tool */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "candidates.h"
#include "fail.h"
#include "options.h"
#include "text.h"

static const char help[] =
    "Examples:\n"
    "  eval \"$(savepoint completion bash)\"                 in ~/.bashrc\n"
    "  eval \"$(savepoint completion zsh)\"                  in ~/.zshrc, behind compinit\n"
    "  savepoint completion fish >~/.config/fish/completions/savepoint.fish\n"
    "\n"
    "Usage: savepoint completion [OPTIONS] SHELL\n"
    "\n"
    "Prints a script for bash, fish or zsh that completes verbs, options, files, and the names of\n"
    "snapshots and regions. It asks the tool itself each time, so that it is never out of date:\n"
    "'savepoint completion --candidates -- WORD...' prints what the last WORD may become, a line\n"
    "each, with a tab and an explanation behind it. A line that begins with a tab asks for files.\n"
    "Of snapshots the newest 200 are looked at; ids are offered once a digit is there.\n"
    "\n"
    "Options:\n"
    "      --candidates   complete the last of the words that follow\n"
    "      --color WHEN   auto, always, or never\n"
    "  -h, --help         this text\n";

/* bash cuts words at = and : too. They are put together again, unquoted, and of what comes back the part is left away
 * that stands in front of the cut. */
static const char bash_script[] =
    "# completion of savepoint for bash: eval \"$(savepoint completion bash)\"\n"
    "_savepoint()\n"
    "{\n"
    "    local IFS=' ' word piece kind= prefix= quote= line i n=-1\n"
    "    local rest=${COMP_LINE:-${COMP_WORDS[*]:0:COMP_CWORD+1}}\n"
    "    local -a words=()\n"
    "    rest=${rest:0:${COMP_POINT:-${#rest}}}\n"
    "    for ((i = 0; i <= COMP_CWORD; i++)); do\n"
    "        piece=${rest#\"${rest%%[![:space:]]*}\"}\n"
    "        if ((i == 0)) || [[ $piece != \"$rest\" ]]; then\n"
    "            words[++n]=\n"
    "        fi\n"
    "        prefix=${words[n]}\n"
    "        rest=${piece#\"${COMP_WORDS[i]}\"}\n"
    "        ((i == COMP_CWORD)) && rest=\n"
    "        words[n]+=${piece%\"$rest\"}\n"
    "    done\n"
    "    for ((i = 0; i <= n; i++)); do\n"
    "        word=${words[i]} quote=\n"
    "        case $word in\n"
    "        \\'*) quote=\\' word=${word#\\'} word=${word%\\'} ;;\n"
    "        \\\"*) quote=\\\" word=${word#\\\"} word=${word%\\\"} ;;\n"
    "        *) word=${word//\\\\/} ;;\n"
    "        esac\n"
    "        words[i]=$word\n"
    "        ((i < n)) && words[i]=${word/#~\\//$HOME/}\n"
    "    done\n"
    "    [[ ${COMP_WORDS[COMP_CWORD]} = [=:] ]] && prefix=$word\n"
    "    word=${word#\"$prefix\"}\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        piece=${line%%$'\\t'*}\n"
    "        if [[ -z $piece ]]; then\n"
    "            kind=${line#?}\n"
    "        elif [[ -n $quote ]]; then\n"
    "            COMPREPLY+=(\"${piece#\"$prefix\"}\")\n"
    "        else\n"
    "            printf -v piece %q \"${piece#\"$prefix\"}\"\n"
    "            COMPREPLY+=(\"$piece\")\n"
    "        fi\n"
    "    done < <(\"$1\" completion --candidates -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    [[ -z $kind ]] && return\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    IFS=$'\\n'\n"
    "    case $kind in\n"
    "    archives) COMPREPLY=($(compgen -f -X '!*.svp' -- \"$word\"; compgen -d -- \"$word\")) ;;\n"
    "    directories) COMPREPLY=($(compgen -d -- \"$word\")) ;;\n"
    "    esac\n"
    "    if [[ $kind = files || ( $kind = archives && ${#COMPREPLY[@]} = 0 ) ]]; then\n"
    "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
    "    fi\n"
    "}\n"
    "complete -F _savepoint savepoint\n";

static const char fish_script[] =
    "# completion of savepoint for fish: savepoint completion fish >~/.config/fish/completions/savepoint.fish\n"
    "function __savepoint_candidates\n"
    "    set -l words (commandline -opc | string replace -r '^~/' \"$HOME/\")\n"
    "    set -l part (commandline -ct | string unescape)\n"
    "    $words[1] completion --candidates -- $words[2..-1] \"$part\" 2>/dev/null\n"
    "end\n"
    "complete -c savepoint -f -a '(__savepoint_candidates | string match -rv \"^\\t\")'\n"
    "complete -c savepoint -F -n '__savepoint_candidates | string match -qr \"^\\t\"'\n";

static const char zsh_script[] =
    "#compdef savepoint\n"
    "# completion of savepoint for zsh: eval \"$(savepoint completion zsh)\" behind compinit, or as _savepoint in "
    "fpath\n"
    "_savepoint()\n"
    "{\n"
    "    local line kind=\n"
    "    local -a found meanings asked\n"
    "    asked=(\"${(@)${(@Q)words[2,CURRENT-1]}/#\\~\\//$HOME/}\" \"${(Q)PREFIX}\")\n"
    "    for line in \"${(@f)$(\"${(Q)words[1]}\" completion --candidates -- \"${asked[@]}\" 2>/dev/null)}\"; do\n"
    "        case $line in\n"
    "        '') ;;\n"
    "        $'\\t'*) kind=${line#?} ;;\n"
    "        *)\n"
    "            found+=(\"${line%%$'\\t'*}\")\n"
    "            meanings+=(\"${line%%$'\\t'*}  ${line#*$'\\t'}\")\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    (( $#found )) && compadd -l -d meanings -a found\n"
    "    [[ $PREFIX = --*=* ]] && compset -P '*='\n"
    "    case $kind in\n"
    "    archives) _files -g '*.svp' ;;\n"
    "    files) _files ;;\n"
    "    directories) _files -/ ;;\n"
    "    esac\n"
    "}\n"
    "if [[ ${funcstack[1]} = _savepoint ]]; then\n"
    "    _savepoint \"$@\"\n"
    "else\n"
    "    compdef _savepoint savepoint\n"
    "fi\n";

static int unknown_shell(const struct tool *tool, const char *name)
{
    const char *nearest = NULL;
    unsigned best = UINT_MAX;
    for (size_t i = 0; candidates_shells[i] != NULL; i++) {
        if (text_is_nearer(&best, name, candidates_shells[i])) {
            nearest = candidates_shells[i];
        }
    }
    if (nearest != NULL) {
        return fail_usage(tool, "there is no script for the shell '%s'; did you mean '%s'?", name, nearest);
    }
    return fail_usage(tool, "there is no script for the shell '%s', only for bash, fish and zsh", name);
}

static int run(struct tool *tool, int argc, char **argv)
{
    static const char *const scripts[] = { bash_script, fish_script, zsh_script }; /* as candidates_shells */
    bool candidates = false;
    const struct option options[] = { { 0, "candidates", OPTION_FLAG, &candidates } };
    int code = options_parse(tool, &argc, argv, options, 1, 1, INT_MAX);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (candidates) {
        candidates_print(argc, argv);
        return TOOL_DONE;
    }
    if (argc > 1) {
        return fail_usage(tool, "one shell at a time");
    }
    for (size_t i = 0; candidates_shells[i] != NULL; i++) {
        if (strcmp(candidates_shells[i], argv[0]) == 0) {
            fputs(scripts[i], stdout);
            return TOOL_DONE;
        }
    }
    return unknown_shell(tool, argv[0]);
}

const struct verb verb_completion = { "completion", "scripts that let shells complete words", help, run };
