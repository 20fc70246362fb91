#!/bin/zsh -f
#
# Audit script of a Kandji (Iru) Custom App, written by kandji-uploader.
#
# The Kandji agent runs it as root. Exit 1 makes the agent install the Custom App, exit 0 passes.
# - The app is looked for by its bundle id, then by its name; a package receipt counts where there is neither.
# - A Mac without it installs at once, or passes where only updates are wanted.
# - Once the deadline is over, a version lower than the one enforced is upgraded. If the app is in the foreground, its
#   user is asked to quit it first and may delay that once, for an hour. Other apps can be named to be asked about.
# - A version that was asked for three times in a row and is still not there is asked for after a day, then every week.
# - On a macOS lower than the one that is needed there is nothing to do, and nothing of a version that was halted.

# Everything that differs from app to app: one literal a line, written by kandji-uploader. Change them in the recipe,
# not here: the next run would write them again.
APP_NAME=''
BUNDLE_ID=''
PKG_ID=''
MINIMUM_ENFORCED_VERSION=''
CREATION_TIMESTAMP=''
DAYS_UNTIL_ENFORCEMENT='0'
VERSION_KEY='CFBundleShortVersionString'
INSTALL_WHEN_MISSING='true'
# The apps that must not run during an upgrade, each with a colon behind it: 'Firefox.app:Thunderbird.app:'. They stand
# in place of the app itself. '' means the app itself, ':' that nothing is in the way of an upgrade.
BLOCKING_APPLICATIONS=''
# The lowest version of macOS, such as '13.0'; '' for any.
MINIMUM_OS_VERSION=''
# Where a zip is unpacked, such as '/opt/tools'; '' for /Applications, where apps are looked for in any case.
UNZIP_LOCATION=''
# Why the version was halted: too many Macs failed with it, so no Mac is asked for it any more; '' where it was not.
HALTED=''

# Where all tools and folders are looked up. Nothing but this line sets it: it is empty on a Mac, and kandji-uploader
# writes the folder of a simulated Mac here when it tries the script before upload.
PREFIX=''

emulate -R zsh
setopt extended_glob
PATH=/usr/bin:/bin:/usr/sbin:/sbin
umask 022
IFS=$' \t\n'
# Names and versions are bytes here, and sort alike on every Mac; the tools keep the locale of the agent.
typeset +x LC_ALL=C

# Builtins in place of processes: most audits start two, and there is one every 15 minutes on every Mac.
if ! zmodload -F zsh/datetime b:strftime p:EPOCHSECONDS || ! zmodload -F zsh/stat b:zstat ||
    ! zmodload -F zsh/system b:sysopen b:sysread p:sysparams; then
    print -r -- 'The zsh of this Mac lacks a module that this script needs, so there is nothing it can check'
    exit 0
fi

FIND=$PREFIX/usr/bin/find
LSAPPINFO=$PREFIX/usr/bin/lsappinfo
MDFIND=$PREFIX/usr/bin/mdfind
OSASCRIPT=$PREFIX/usr/bin/osascript
PKGUTIL=$PREFIX/usr/sbin/pkgutil
PLIST_BUDDY=$PREFIX/usr/libexec/PlistBuddy
SLEEP=$PREFIX/bin/sleep
SW_VERS=$PREFIX/usr/bin/sw_vers

DELAY_PLIST=/Library/Preferences/io.kandji.enforcement.delay.plist
DELAY_SECONDS=3600
TIME_FORMAT='%Y-%m-%d %H:%M:%S %Z'
DIALOG_SECONDS=300
DIALOG_TRIES=3
QUIT_SECONDS=15

# How often a version is asked for in a row, and how many seconds pass before it is asked for once more, and then each
# time: an installer that does not do what it says costs three installs, and not one at every audit.
ASKED_IN_A_ROW=3
FIRST_PAUSE=86400
NEXT_PAUSE=604800
# The versions of which nothing was heard for so many seconds are forgotten.
COUNT_SECONDS=7776000

UNZIP_FOLDER=()
[[ $UNZIP_LOCATION == /?* && $UNZIP_LOCATION/ != */../* ]] && UNZIP_FOLDER=("${UNZIP_LOCATION%%/##}")
# /Library comes last: it has ten times the folders of the others together, and next to no apps.
typeset -aU FOLDERS_OF_APPS
FOLDERS_OF_APPS=(/Applications /System/Applications $UNZIP_FOLDER)
LIBRARY=(${${:-/Library}:#$UNZIP_FOLDER})
FAR_AWAY='/Library/*'${UNZIP_FOLDER:+"~${(b)UNZIP_FOLDER}/*"}
SEARCHED_FOLDERS=($FOLDERS_OF_APPS $LIBRARY)
SEARCHED_LEVELS=5
# Any user can put files on a disk: these limits keep an audit from being held up, or from using up the memory.
FINDING_SECONDS=120
TOOL_SECONDS=20
ANSWER_BYTES=4194304
PLIST_BYTES=1048576
# Only apps in these are ever asked to quit, since root asks; the last two are where Safari is on a newer macOS.
ASKED_FOLDERS=($SEARCHED_FOLDERS /System{,/Volumes/Preboot}/Cryptexes/App/System/Applications)
# Folders that are bundles: an app inside one is a helper of it, not the app that is meant.
BUNDLES=(appex bundle component framework kext plugin prefPane qlgenerator saver sdk systemextension vst vst3 xpc)

APPS_LISTED=0
APPS=()
LIBRARY_LISTED=0
LIBRARY_APPS=()
OPEN_FOLDERS=()
SHARED_FOLDERS=()
INSTALLED_PATH=
INSTALLED_VERSION=
LAST_RESORT=
typeset -aU PASSED_OVER
BLOCKING=()
FRONT=()
FRONT_NAMES=()

# Prints a line as it is, whatever it holds.
say() {
    print -r -- "$1"
}

# Sets NOW to the time in seconds since 1970. A simulated Mac has its clock in a file.
tell_time() {
    NOW=$EPOCHSECONDS
    [[ -z $PREFIX ]] || read -r NOW <$PREFIX/now
}

# Sets OUTPUT to what a tool prints, without line ends behind it; fails with 1 where that is nothing. Fails with 2 where
# the tool takes too long or prints more than anything sound, and ends it. Arguments: seconds, the tool, its arguments.
ask() {
    local -i from pid code=0 ends=$(( SECONDS + $1 ))
    local part
    shift
    OUTPUT=
    exec {from}< <(exec "$@" </dev/null 2>/dev/null)
    pid=$sysparams[procsubstpid]
    while (( code == 0 && $#OUTPUT <= ANSWER_BYTES )); do
        sysread -t $(( ends > SECONDS ? ends - SECONDS : 0 )) -i $from part
        code=$?
        (( code )) || OUTPUT+=$part
    done
    exec {from}<&-
    # 5 is the end of what there was to read.
    if (( code != 5 )); then
        (( pid > 1 )) && kill -KILL $pid 2>/dev/null
        OUTPUT=
        return 2
    fi
    code=$#OUTPUT
    while [[ $OUTPUT[-1] == $'\n' ]]; do
        OUTPUT[-1]=
    done
    (( code ))
}

# Sets CONTENT to what a file holds. Fails where there is no plain file, or one larger than any Info.plist: who can
# put a FIFO or a file of a gigabyte there could hold up every audit. What was opened is looked at once more.
read_file() {
    local here=$PWD
    local -i from
    local -A facts
    CONTENT=
    [[ -f $1 && ! -L $1 ]] && cd -q "${1:h}" 2>/dev/null || return 1
    # sysopen does not find a path with some of the bytes of UTF-8 in it; the name alone is plain.
    sysopen -r -o $OPEN_OPTIONS -u from "${1:t}" 2>/dev/null || from=-1
    cd -q "$here"
    (( from >= 0 )) || return 1
    if zstat -H facts -f $from && (( (facts[mode] & 8#170000) == 8#100000 && facts[size] <= PLIST_BYTES )); then
        sysread -s $(( facts[size] + 1 )) -i $from CONTENT
    fi
    exec {from}<&-
    [[ -n $CONTENT ]]
}

# With `nonblock`, a FIFO that takes the place of the file between the look and the opening holds up nothing. The zsh of
# macOS 12 and older (5.8) does not know it.
OPEN_OPTIONS=cloexec,nofollow
sysopen -r -o $OPEN_OPTIONS,nonblock -u PROBE /dev/null 2>/dev/null && exec {PROBE}<&- && OPEN_OPTIONS+=,nonblock

########## Finding ##########

# Sorts `reply`, paths, the nearest first: those in the folders of apps before those in /Library, then the shortest.
nearest_first() {
    local -i at
    local -a keyed
    for (( at = 1; at <= $#reply; at += 1000 )); do
        keyed+=("${(@)reply[at,at+999]/(#m)*/${${${(M)MATCH:#$~FAR_AWAY}:+1}:-0}${(l:6::0:)${#MATCH}}$MATCH}")
    done
    reply=()
    keyed=("${(@o)keyed}")
    for (( at = 1; at <= $#keyed; at += 1000 )); do
        reply+=("${(@)keyed[at,at+999]#???????}")
    done
}

# Whether a path is where an installed app can be: in the searched folders, not too deep, in no other bundle.
in_reach() {
    local root inside
    local -a levels
    for root in $SEARCHED_FOLDERS; do
        [[ $1 == "$root"/* && $1/ != */../* ]] || continue
        inside=${1#"$root"/}
        levels=("${(@s:/:)inside}")
        [[ $inside == *.app && $inside != *.(app|${(~j:|:)BUNDLES})/* ]] && (( $#levels <= SEARCHED_LEVELS )) && return
    done
    return 1
}

# Sets WRITER to who, beside root and the admins, can put something where an app is: `all` where others can write to a
# folder above it (which is WRITABLE then), `some` where another group can, or where it is in a home; '' for nobody.
# Admins can do anything on a Mac, and /Applications is theirs. Argument: the app's path.
who_can_write() {
    local folder
    local -aU places
    WRITER=
    # An app that is a link is in two places.
    places=("$1" "${${${:-$PREFIX$1}:A}#"$PREFIX"}")
    for folder in "${(@)places}"; do
        [[ $folder != /Users/* ]] || WRITER=some
        while [[ $folder == /?* ]]; do
            folder=${folder:h}
            if [[ -n $PREFIX$folder(#qN-f:o+w:) ]]; then
                WRITER=all WRITABLE=$folder
                return
            fi
            [[ -z $PREFIX$folder(#qN-f:g+w:^-g0g80) ]] || WRITER=some
        done
    done
}

# Whether an app is where it counts: where nobody but root and the admins can have put it, or as a last resort where
# some can. It never counts where all can.
counts() {
    who_can_write "$1"
    if [[ $WRITER == all ]]; then
        PASSED_OVER+=("Passed over '$1', as everybody can write to '$WRITABLE'")
        return 1
    fi
    [[ -z $WRITER || -n $LAST_RESORT ]]
}

# Sets `reply` to the apps that Spotlight has for a query and that are really there. The index may be off, or stale.
ask_spotlight() {
    local line
    ask $TOOL_SECONDS $MDFIND "$1"
    reply=()
    for line in "${(@f)OUTPUT}"; do
        line=${line#/System/Volumes/Data}
        in_reach "$line" && [[ -d $PREFIX$line ]] && reply+=("$line")
    done
    nearest_first
}

# Exits where finding takes too long to tell whether the app is there: an install would be asked for again and again.
end_search() {
    say "The search for '$LABEL' took more than $FINDING_SECONDS seconds and was ended; the next audit tries again"
    exit 0
}

# Sets PLIST to an app's Info.plist and CONTENT to what it holds. One that leads out of its app, or is none that can be
# read, counts as none. Argument: the app's path.
read_info() {
    PLIST=${${:-$PREFIX$1/Contents/Info.plist}:A}
    [[ $PLIST == "${${:-$PREFIX$1}:A}"/* ]] && read_file "$PLIST" && return
    [[ ! -e $PLIST ]] || PASSED_OVER+=("Passed over the Info.plist of '$1', which is no file of at most 1 MiB in it")
    return 1
}

# Whether an app has the bundle id that is meant; the whole id, and not as a pattern. Sets INSTALLED_VERSION, too.
has_bundle_id() {
    read_info "$1" || return 1
    # It is worth a process only where a plain id stands in it as it is, as it does in any plist format.
    [[ $BUNDLE_ID != [A-Za-z0-9._-]## || $CONTENT == *"$BUNDLE_ID"* ]] && counts "$1" || return 1
    ask $TOOL_SECONDS $PLIST_BUDDY -c 'Print :CFBundleIdentifier' -c "Print :$VERSION_KEY" "$PLIST"
    [[ $OUTPUT == "$BUNDLE_ID"(|$'\n'*) ]] || return 1
    INSTALLED_PATH=$1 INSTALLED_VERSION=${${OUTPUT#"$BUNDLE_ID"}#$'\n'}
}

# Takes the first of the apps given that has the bundle id.
pick_by_bundle_id() {
    local app
    [[ -n $BUNDLE_ID ]] || return 1
    for app in "$@"; do
        has_bundle_id "$app" && return
        if (( SECONDS >= FINDING_ENDS )); then
            [[ -n $LAST_RESORT ]] && return 1
            end_search
        fi
    done
    return 1
}

# Takes the app that Spotlight has for the bundle id. An id with any other character could change what the query asks.
find_by_spotlight() {
    [[ $BUNDLE_ID == [A-Za-z0-9._-]## ]] || return 1
    ask_spotlight "kMDItemCFBundleIdentifier == '$BUNDLE_ID'"
    pick_by_bundle_id "${(@)reply}"
}

# Sets INSTALLED_VERSION to a value of PLIST. Argument: its key.
ask_version() {
    ask $TOOL_SECONDS $PLIST_BUDDY -c "Print :$1" "$PLIST"
    INSTALLED_VERSION=$OUTPUT
}

# Says where the app is that was found, and sets INSTALLED_VERSION ("" where it cannot be told).
take_app() {
    local key there="installed at '$INSTALLED_PATH'"
    for key in CFBundleShortVersionString CFBundleVersion; do
        [[ -n $INSTALLED_VERSION || -z $CONTENT || $key == "$VERSION_KEY" ]] || ask_version $key
    done
    [[ -z $LAST_RESORT ]] ||
        there+=', where others than admins can write; it counts as there is none in the places meant for apps'
    (( $#PASSED_OVER == 0 )) || print -rl -- "${(@)PASSED_OVER}"
    say "'$LABEL' $there"
}

########## The requests for a version are counted, so that no installer is run again and again ##########

# Sets ASKED to how often in a row this version was asked for, LAST to when that was, and OTHER_COUNTS to the lines of
# other versions. The test and the production app of one software may ask for two versions on the same Mac.
read_count() {
    local line
    ASKED=0 LAST=0 OTHER_COUNTS=()
    read_file "$PREFIX$COUNT_PLIST" || return 1
    for line in "${(@f)CONTENT}"; do
        # What does not look like a line of ours says nothing, and is not written again.
        [[ $line == (#b)$'\t<key>'([^\<]##)'</key><dict><key>asked</key><integer>'(<1-99999>)'</integer>'\
'<key>last</key><integer>'(<->)'</integer></dict>' ]] || continue
        (( $#match[3] <= 13 )) || continue
        if [[ $match[1] == "$COUNT_KEY" ]]; then
            ASKED=$match[2] LAST=$match[3]
        elif (( NOW - match[3] < COUNT_SECONDS )); then
            OTHER_COUNTS+=("$line")
        fi
    done
}

# Writes the counts again: those of other versions and, where it is given, the line of this one. Without any there is no
# file. Root alone can write to its folder.
write_counts() {
    local -a lines
    lines=("$@" "${(@)OTHER_COUNTS}")
    if (( $#lines == 0 )); then
        /bin/rm -f -- "$PREFIX$COUNT_PLIST"
        return
    fi
    lines=(
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">'
        '<plist version="1.0">' '<dict>' "${(@)lines}" '</dict>' '</plist>'
    )
    [[ ! -e $PREFIX$COUNT_PLIST || -f $PREFIX$COUNT_PLIST ]] && print -rl -- "${(@)lines}" >| "$PREFIX$COUNT_PLIST"
} 2>/dev/null

# Ends the count once the Mac has the version.
end_count() {
    [[ -e $PREFIX$COUNT_PLIST && -n $INSTALLED_VERSION ]] || return 0
    compare_versions "$INSTALLED_VERSION" "$MINIMUM_ENFORCED_VERSION"
    (( REPLY >= 0 )) && read_count && (( ASKED )) && write_counts
}

# Sets the file of the counts, one per software so that no two scripts write to the same, and the key of this version.
name_counts() {
    local name=${LABEL//(#m)[^A-Za-z0-9._ -]/%$(( [##16] #MATCH ))}
    COUNT_PLIST=/Library/Preferences/com.github.kandjiuploader.asked.${name[1,180]}.plist
    COUNT_KEY=${MINIMUM_ENFORCED_VERSION//[[:cntrl:]]/_}
    COUNT_KEY=${${${COUNT_KEY//&/&amp;}//</&lt;}//>/&gt;}
}

########## Versions: the rules are those of version.py of kandji-uploader ##########

# Sets the arrays RELEASE and BUILD to the tokens of a version.
split_version() {
    local rest=${(L)1} token
    local -a tokens
    local -i in_build=0
    RELEASE=() BUILD=()
    while [[ $rest == (#b)[^0-9a-z\(+]#([0-9]##|[a-z]##|[\(+])(*) ]]; do
        token=$match[1] rest=$match[2]
        case $token in
            '('|+|build)
                (( in_build++ )) || RELEASE=("${(@)tokens}") tokens=()
                ;;
            v|version|release|final|ga|stable|esr) ;;
            <->)
                token=${token##0#}
                tokens+=("${token:-0}")
                ;;
            *)
                # Zeros before a word say nothing: 1.0.0b2 is 1b2.
                while [[ ${tokens[-1]:-} == 0 ]]; do
                    tokens[-1]=()
                done
                tokens+=("$token")
                ;;
        esac
    done
    (( in_build )) && BUILD=("${(@)tokens}") || RELEASE=("${(@)tokens}")
}

# Sets REPLY to the rank of a token: pre-releases, then the end (or a zero), then other words, then numbers.
rank_token() {
    case $1 in
        ''|0) REPLY=6 ;;
        <->) REPLY=8 ;;
        d|dev|nightly|snapshot) REPLY=1 ;;
        a|alpha) REPLY=2 ;;
        b|beta) REPLY=3 ;;
        pre|preview) REPLY=4 ;;
        rc|fc) REPLY=5 ;;
        *) REPLY=7 ;;
    esac
}

# Sets REPLY to -1, 0 or 1 as the first token is lower than, equal to, or higher than the second.
compare_tokens() {
    local rank
    rank_token "$1"
    rank=$REPLY
    rank_token "$2"
    if (( rank != REPLY )); then
        (( REPLY = rank < REPLY ? -1 : 1 ))
    elif (( rank < 7 )) || [[ $1 == "$2" ]]; then
        REPLY=0
    elif (( rank == 8 && $#1 != $#2 )); then
        # Numbers may be longer than a shell can count.
        (( REPLY = $#1 < $#2 ? -1 : 1 ))
    elif [[ $1 < $2 ]]; then
        REPLY=-1
    else
        REPLY=1
    fi
}

# Sets REPLY to -1, 0 or 1 for the lists of tokens in `first` and `second`.
compare_parts() {
    local -i position
    REPLY=0
    for (( position = 1; position <= $#first || position <= $#second; position++ )); do
        compare_tokens "${first[position]:-}" "${second[position]:-}"
        (( REPLY == 0 )) || return 0
    done
}

# Sets REPLY to -1 where the first version is older than the second, 1 where it is newer, 0 where it is neither.
compare_versions() {
    local -a RELEASE BUILD first second build
    split_version "$1"
    first=("${(@)RELEASE}") build=("${(@)BUILD}")
    split_version "$2"
    second=("${(@)RELEASE}")
    compare_parts
    # A build that only one of them shows does not count.
    if (( REPLY == 0 && $#build && $#BUILD )); then
        first=("${(@)build}") second=("${(@)BUILD}")
        compare_parts
    fi
}

########## Deadline ##########

# Exits where the deadline is not over, or where there is none.
check_deadline() {
    say 'Checking version enforcement...'
    if [[ -z $MINIMUM_ENFORCED_VERSION || $NOW != <-> || $CREATION_TIMESTAMP != <-> || $#CREATION_TIMESTAMP -gt 13 ||
        $DAYS_UNTIL_ENFORCEMENT != <-> || $#DAYS_UNTIL_ENFORCEMENT -gt 5 ]]; then
        say 'This script has no version, no date or no delay that could be enforced'
        exit 0
    fi
    local -i due left
    (( due = 10#$CREATION_TIMESTAMP + 10#$DAYS_UNTIL_ENFORCEMENT * 86400, left = due - NOW ))
    local due_text
    strftime -s due_text "$TIME_FORMAT" $due
    if (( left > 0 )); then
        time_of_day $(( left % 86400 ))
        say "Update is due at $due_text"
        say "Will verify '$LABEL' running at least version '$MINIMUM_ENFORCED_VERSION' in $(( left / 86400 )) days,\
 $REPLY"
        exit 0
    fi
    say "Enforcement was due at $due_text"
}

# Sets REPLY to seconds as hours, minutes and seconds.
time_of_day() {
    printf -v REPLY '%d hours, %02d minutes, %02d seconds' $(( $1 / 3600 )) $(( $1 / 60 % 60 )) $(( $1 % 60 ))
}

# Exits where this Mac's macOS is older than the software needs. A Mac that does not tell counts as new enough.
check_macos() {
    [[ -n $MINIMUM_OS_VERSION ]] || return 0
    local macos
    ask $TOOL_SECONDS $SW_VERS -productVersion
    macos=$OUTPUT
    [[ $macos == [0-9]##(.[0-9]##)# ]] || return 0
    compare_versions "$macos" "$MINIMUM_OS_VERSION"
    (( REPLY < 0 )) || return 0
    say "'$LABEL' needs macOS $MINIMUM_OS_VERSION and this Mac has $macos, so there is nothing to do"
    exit 0
}

# Exits where the version is high enough.
check_version() {
    say "Confirming '$LABEL' version..."
    if [[ -n $INSTALLED_VERSION ]]; then
        compare_versions "$INSTALLED_VERSION" "$MINIMUM_ENFORCED_VERSION"
        if (( REPLY >= 0 )); then
            say "Installed version '$INSTALLED_VERSION' greater than or equal to enforced version\
 '$MINIMUM_ENFORCED_VERSION'"
            exit 0
        fi
        say "Installed version '$INSTALLED_VERSION' less than required version '$MINIMUM_ENFORCED_VERSION'"
    else
        say "Installed version could not be read, so it counts as less than required version\
 '$MINIMUM_ENFORCED_VERSION'"
    fi
}

# Checks the software that was found. Exits where no upgrade is due.
check_installed() {
    end_count
    check_deadline
    check_version
}

# Exits where there is nothing to check; fails where Spotlight does not find the app.
begin() {
    LABEL=${APP_NAME:-${BUNDLE_ID:-$PKG_ID}}
    if [[ -z $LABEL ]]; then
        say 'This script names no app and no package, so there is nothing to check'
        exit 0
    fi
    if [[ -n $HALTED ]]; then
        say "Halted: $HALTED, so there is nothing to do"
        exit 0
    fi
    NAME=$APP_NAME
    [[ -z $NAME || $NAME == *.app ]] || NAME+=.app
    tell_time
    name_counts
    check_macos
    say "Checking for '$LABEL' install..."
    FINDING_ENDS=$(( SECONDS + FINDING_SECONDS ))
    find_by_spotlight
}

# zsh reads a script no further than it has come. Most audits end here, so what they need stands before it.
if begin; then
    take_app
    check_installed
fi

########## Where Spotlight does not find it ##########

# Sets `reply` to the apps below some folders, and to the folders below them that are not searched, as `all` or `some`
# others can write to them. One process: zsh itself takes ten times the time, and a list of all folders in memory.
# Arguments: all or some; the folders.
search_disk() {
    local bundle
    local -i at
    local -a others bundles found
    others=(-perm -0002)
    [[ $1 == all ]] || others+=(-o -perm -0020 '!' -group 0 '!' -group 80)
    for bundle in $BUNDLES; do
        bundles+=(-o -name "*.$bundle")
    done
    shift
    reply=()
    (( $# )) || return 0
    ask $(( FINDING_ENDS - SECONDS )) $FIND -H "$@" -maxdepth $SEARCHED_LEVELS \
        -name '*.*' '(' -iname '*.app' '!' -type f -print0 -prune -o \
            -type d '(' "${(@)bundles[2,-1]}" ')' -prune ')' -o \
        -type d '(' $others ')' -print0 -prune
    (( $? < 2 )) || return 1
    found=("${(@0)OUTPUT}")
    OUTPUT=
    # Behind the last null byte is nothing.
    found[-1]=()
    # A thousand at a time: zsh keeps what an expansion makes until its command is over.
    for (( at = 1; at <= $#found; at += 1000 )); do
        reply+=("${(@)found[at,at+999]#"$PREFIX"}")
    done
}

# Sets `reply` to all apps in some folders, and adds to the two lists of folders that were left out.
list_apps() {
    local each
    search_disk some $PREFIX${^argv}(N-/) || end_search
    for each in "${(@)reply:#*.(#i)app}"; do
        if [[ -n $PREFIX$each(#qNf:o+w:) ]]; then
            OPEN_FOLDERS+=("$each")
        else
            SHARED_FOLDERS+=("$each")
        fi
    done
    reply=("${(@M)reply:#*.(#i)app}")
    nearest_first
}

# Looks for the app on the disk: in the folders of apps, and only then in /Library. Each is searched once.
# Argument: the function that takes the app from those it is given.
pick_on_disk() {
    (( APPS_LISTED++ )) || { list_apps $FOLDERS_OF_APPS; APPS=("${(@)reply}") }
    $1 "${(@)APPS}" && return
    (( LIBRARY_LISTED++ )) || { list_apps $LIBRARY; LIBRARY_APPS=("${(@)reply}") }
    $1 "${(@)LIBRARY_APPS}"
}

# Takes the app that is called as is meant and is nearest, in any folder that the apps given are in.
pick_by_name() {
    local folder
    local -aU folders
    [[ -n $NAME && $NAME != */* ]] || return 1
    folders=("${(@)argv:h}")
    reply=()
    for folder in "${(@)folders}"; do
        # The file system is asked, so upper and lower case and accents count as they do there.
        [[ -n $folder && -d $PREFIX$folder/$NAME ]] && counts "$folder/$NAME" && reply+=("$folder/$NAME")
    done
    nearest_first
    INSTALLED_PATH=${reply[1]:-}
    [[ -n $INSTALLED_PATH ]] && read_info "$INSTALLED_PATH" && ask_version "$VERSION_KEY"
    [[ -n $INSTALLED_PATH ]]
}

find_by_name() {
    [[ -n $NAME ]] || return 1
    if [[ $NAME == [A-Za-z0-9\ ._-]## ]]; then
        ask_spotlight "kMDItemFSName == '$NAME'"
        pick_by_name "${(@M)reply:#*/$NAME}" && return
    fi
    pick_on_disk pick_by_name
}

# Finds a copy where some others can write: in the Applications folder of a home, or where a group can. Who plants one
# there keeps the app from a Mac that has none, which is said, and nothing more.
find_elsewhere() {
    local folder app
    local -a apps
    LAST_RESORT=yes
    for folder in "${(@)OPEN_FOLDERS}"; do
        [[ -n $NAME && $NAME != */* && -d $PREFIX$folder/$NAME ]] && counts "$folder/$NAME"
    done
    search_disk all $PREFIX${^SHARED_FOLDERS}(N/) $PREFIX/Users/*/Applications(N/) $PREFIX${^UNZIP_FOLDER}(N-/) ||
        PASSED_OVER+=('Passed over the folders that users can write to, which took too long to search')
    reply=("${(@M)reply:#*.(#i)app}")
    nearest_first
    apps=("${(@)reply}")
    # An admin may have linked an app to a home.
    for app in "${(@)APPS}" "${(@)LIBRARY_APPS}"; do
        [[ -L $PREFIX$app ]] && apps+=("$app")
    done
    pick_by_bundle_id "${(@)apps}" || pick_by_name "${(@)apps}"
}

# Sets INSTALLED_PATH, and what `take_app` reads; fails where the app is missing.
find_app() {
    [[ -n $BUNDLE_ID ]] && pick_on_disk pick_by_bundle_id && return
    find_by_name || find_elsewhere
}

# Sets INSTALLED_VERSION from the package's receipt; fails where there is none.
find_receipt() {
    ask $TOOL_SECONDS $PKGUTIL --pkg-info-plist "$PKG_ID" || return 1
    [[ $OUTPUT == *'<key>pkg-version</key>'[[:space:]]#'<string>'(#b)([^\<]#)'</string>'* ]] || return 0
    INSTALLED_VERSION=${${${match[1]//&lt;/<}//&gt;/>}//&quot;/\"}
    INSTALLED_VERSION=${${INSTALLED_VERSION//&apos;/\'}//&amp;/&}
    return 0
}

# Exits where this version was asked for so often that something else must be wrong. Argument: a line to print before.
check_count() {
    local until
    local -i pause=NEXT_PAUSE
    read_count
    (( ASKED >= ASKED_IN_A_ROW )) || return 0
    (( ASKED > ASKED_IN_A_ROW )) || pause=FIRST_PAUSE
    # A moment that is still to come was written by a clock that was wrong.
    (( LAST <= NOW && NOW < LAST + pause )) || return 0
    strftime -s until "$TIME_FORMAT" $(( LAST + pause ))
    [[ -z $1 ]] || say "$1"
    say "Waiting until $until: version '$MINIMUM_ENFORCED_VERSION' was asked for $ASKED times,\
 and '$LABEL' still lacks it"
    exit 0
}

# Counts that this version is asked for now.
count_request() {
    local line
    line=$'\t<key>'$COUNT_KEY'</key><dict><key>asked</key><integer>'$(( ASKED < 99999 ? ASKED + 1 : ASKED ))
    line+="</integer><key>last</key><integer>$NOW</integer></dict>"
    write_counts "$line" || say "The request could not be counted in $COUNT_PLIST"
}

# Exits where the software is missing.
check_install() {
    if [[ -n $BUNDLE_ID$APP_NAME ]]; then
        if find_app; then
            take_app
            return
        fi
        (( $#PASSED_OVER == 0 )) || print -rl -- "${(@)PASSED_OVER}"
    elif find_receipt; then
        say "'$LABEL' has a package receipt"
        return
    fi
    if [[ $INSTALL_WHEN_MISSING == false ]]; then
        say "'$LABEL' not found. Only updates are wanted, so there is nothing to do"
        exit 0
    fi
    check_count "'$LABEL' not found"
    count_request
    say "'$LABEL' not found. Triggering install..."
    exit 1
}

if [[ -z $INSTALLED_PATH ]]; then
    check_install
    check_installed
fi

########## The one delay per app and version ##########

# Sets REPLY to a key as PlistBuddy reads it in the path of an entry.
entry_key() {
    REPLY=${1//[[:cntrl:]]/_}
    if [[ $REPLY == *[\'\":\\]* ]]; then
        REPLY=${REPLY//(#m)[\ \'\":\\]/\\$MATCH}
    else
        REPLY="'$REPLY'"
    fi
}

edit_delays() {
    [[ ! -e $PREFIX$DELAY_PLIST || -f $PREFIX$DELAY_PLIST ]] || return 1
    $PLIST_BUDDY -c "$1" "$PREFIX$DELAY_PLIST" >/dev/null 2>&1
}

# Sets OUTPUT to what stands in the plist under a path of keys; fails where there is none.
print_delay() {
    [[ -f $PREFIX$DELAY_PLIST ]] && ask $TOOL_SECONDS $PLIST_BUDDY -c "Print $1" "$PREFIX$DELAY_PLIST"
}

# Sets DELAY to `none`, `pending` or `over`.
read_delay() {
    if ! print_delay "$ENTRY"; then
        DELAY=none
        say "No enforcement delay found for $LABEL"
        return
    fi
    say "Enforcement delay present for $LABEL"
    # Whatever is no moment of the coming hour was not written as a delay, and is none.
    local ends=$OUTPUT
    if [[ $ends == <-> && $#ends -le 13 ]] && (( NOW < ends && ends <= NOW + DELAY_SECONDS )); then
        DELAY=pending
        time_of_day $(( ends - NOW ))
        say "User delay still pending; enforcing version $MINIMUM_ENFORCED_VERSION for $LABEL in $REPLY"
        return
    fi
    DELAY=over
    say "Enforcement delay has expired for $LABEL $MINIMUM_ENFORCED_VERSION"
}

# Adds the entry and reads it again.
add_delay() {
    edit_delays "Add $APP_ENTRY dict"
    edit_delays "Add $ENTRY integer $1"
    print_delay "$ENTRY" && [[ $OUTPUT == "$1" ]]
}

# Whether the plist takes any entry at all.
delays_usable() {
    local probe=:kandji-uploader-probe
    edit_delays "Delete $probe"
    edit_delays "Add $probe integer 1" && edit_delays "Delete $probe"
}

# Writes the delay; fails where it cannot be kept, for then it could be asked for again and again.
write_delay() {
    local -i ends
    # The hour begins with the click, not when the dialog came up.
    tell_time
    (( ends = NOW + DELAY_SECONDS ))
    say "Writing enforcement delay for $LABEL to $DELAY_PLIST"
    add_delay $ends && return
    # What stands under this app's name may be of another type, or the whole file broken; other apps' entries stay.
    edit_delays "Delete $APP_ENTRY"
    add_delay $ends && return
    delays_usable && return 1
    /bin/rm -f -- "$PREFIX$DELAY_PLIST" 2>/dev/null
    add_delay $ends
}

########## The app in use ##########

# Whether a name of BLOCKING_APPLICATIONS means a running app; upper and lower case (of ASCII) are alike, and nothing is
# a pattern. Arguments: name, path of the bundle, path of the executable.
is_named() {
    local name=${(L)1} bundle=${(L)2} executable=${(L)3}
    case $name in
        /*) [[ $bundle == "$name" || $executable == "$name" ]] ;;
        *.app) [[ ${bundle:t} == "$name" ]] ;;
        *) [[ ${bundle:t} == "$name.app" || ${executable:t} == "$name" ]] ;;
    esac
}

# Whether an app may be asked to quit: really there, in one of the folders meant for apps, and in none that everyone can
# write to, as /Library/Caches is.
may_be_asked() {
    local root
    for root in $ASKED_FOLDERS; do
        [[ $1 == "$root"/* && $1/ != */../* && -d $PREFIX$1 ]] || continue
        who_can_write "$1"
        [[ $WRITER != all ]]
        return
    done
    return 1
}

# Sets BLOCKING to the paths of the apps that are in the way while they run. What an app calls itself stands in the list
# as it is, and could look like the lines of another app: whether one really runs is asked again, by its path.
list_blocking() {
    BLOCKING=()
    if [[ -z $BLOCKING_APPLICATIONS ]]; then
        # A package without an app has nothing of its own that could be in use, and an upgrade touches no copy of a
        # user's own.
        [[ -z $INSTALLED_PATH || -n $LAST_RESORT ]] || BLOCKING=("$INSTALLED_PATH")
        return
    fi
    local -aU named
    local -a names
    names=("${(@s.:.)BLOCKING_APPLICATIONS}")
    names=("${(@)names:#}")
    (( $#names )) || return 0
    local line value bundle= executable name
    ask $TOOL_SECONDS $LSAPPINFO list
    for line in "${(@f)OUTPUT}"; do
        [[ $line == [[:blank:]]#(#b)(bundle|executable)' path='(*) ]] || continue
        # What has no bundle shows [ NULL ] there, without quotes.
        value=${${match[2]%%[[:blank:]]#}#\"} value=${value%\"} executable=
        [[ $match[1] == bundle ]] && bundle=$value || executable=$value
        may_be_asked "$bundle" || continue
        for name in "${(@)names}"; do
            is_named "$name" "$bundle" "$executable" && named+=("$bundle")
        done
    done
    BLOCKING=("${(@)named}")
}

# Sets RUNNING to what lsappinfo calls the running copies of an app; empty where it does not run. Argument: its path.
list_running() {
    ask $TOOL_SECONDS $LSAPPINFO find bundlepath="$1"
    RUNNING=(${=OUTPUT})
    RUNNING=(${RUNNING:#(\[|NULL|\])})
}

# Whether an app runs in the foreground; sets DISPLAY_NAME and RUNNING. Argument: its path.
in_foreground() {
    local copy
    list_running "$1"
    for copy in $RUNNING; do
        ask $TOOL_SECONDS $LSAPPINFO info "$copy" -only ApplicationType
        [[ $OUTPUT == *'"ApplicationType"="Foreground"'* ]] || continue
        ask $TOOL_SECONDS $LSAPPINFO info "$copy" -only LSDisplayName
        if [[ $OUTPUT == (#b)*'"LSDisplayName"="'([^$'\n']##)\"* ]]; then
            DISPLAY_NAME=$match[1]
        else
            DISPLAY_NAME=${1:t:r}
        fi
        return 0
    done
    return 1
}

# Sets FRONT to the apps of BLOCKING that run in the foreground, and FRONT_NAMES to what they are called. Fails where
# there is none, and says so.
find_in_front() {
    local app
    local -i behind=0
    FRONT=() FRONT_NAMES=()
    for app in "${(@)BLOCKING}"; do
        if in_foreground "$app"; then
            FRONT+=("$app") FRONT_NAMES+=("$DISPLAY_NAME")
            say "Detected blocking process: '$DISPLAY_NAME'"
        fi
        (( behind += $#RUNNING ))
    done
    (( $#FRONT == 0 )) || return 0
    if [[ -n $BLOCKING_APPLICATIONS ]]; then
        say "No blocking application of '$LABEL' is in the foreground"
    elif (( behind )); then
        say "'$LABEL' is running in the background only"
    elif [[ -n $INSTALLED_PATH ]]; then
        say "No running process found for '$LABEL'"
    fi
    return 1
}

# Sets TITLE and REQUEST to what the dialog says of the apps in FRONT.
word_dialog() {
    local what="it" names="'${(j:', ':)FRONT_NAMES}'"
    TITLE="Update of $FRONT_NAMES[1]"
    if [[ "$FRONT" != "$INSTALLED_PATH" ]]; then
        what="'${LABEL%.app}'" TITLE="Update of ${LABEL%.app}"
    fi
    (( $#FRONT == 1 )) || names="'${(j:', ':)FRONT_NAMES[1,-2]}' and '$FRONT_NAMES[-1]'"
    REQUEST="Quit $names to update $what to version $MINIMUM_ENFORCED_VERSION. Save your work first."
}

# Shows the dialog, and takes the place of the process that calls it. What names the app goes to AppleScript as
# arguments, none of which starts with a dash. By itself AppleScript would give up after two minutes, before the dialog
# does, and leave it open.
# Arguments: text, the button for a delay or "".
show_dialog() {
    exec $OSASCRIPT \
        -e 'on run argv' \
        -e 'set {theText, theTitle, theTime, delayButton} to argv' \
        -e 'set theTime to theTime as integer' \
        -e 'set theKeys to {"Quit"}' \
        -e 'if delayButton is not "no delay" then set theKeys to {delayButton, "Quit"}' \
        -e 'tell application "System Events"' \
        -e 'activate' \
        -e 'with timeout of (theTime + 60) seconds' \
        -e 'display dialog theText with title theTitle buttons theKeys default button "Quit" giving up after theTime' \
        -e 'end timeout' \
        -e 'end tell' \
        -e 'end run' \
        "$1" "$TITLE" $DIALOG_SECONDS "${2:-no delay}" 2>&1
}

# Sets ANSWER to `quit`, `delay`, `none` (the time ran out) or `failed`. Argument: the button for a delay or "".
ask_user() {
    local TITLE REQUEST said
    word_dialog
    [[ -z $1 ]] || REQUEST+=" You can delay this once, for an hour."
    local -i code
    repeat $DIALOG_TRIES; do
        said=$(show_dialog "$REQUEST" "$1")
        code=$?
        said=${said##*$'\n'}
        ANSWER=failed
        if (( code == 0 )); then
            case $said in
                *'gave up:true') ANSWER=none ;;
                'button returned:Quit'*) ANSWER=quit ;;
                'button returned:Delay'*) [[ -z $1 ]] || ANSWER=delay ;;
            esac
        elif [[ -n $1 && $said == *'(-128)' ]]; then
            ANSWER=delay
        fi
        [[ $ANSWER == failed ]] || return 0
        $SLEEP 2
    done
    say "The dialog could not be shown: $said"
}

# Asks an app to quit. One that does not run any more is not started for that. Argument: its path.
quit_app() {
    may_be_asked "$1" || return 0
    $OSASCRIPT \
        -e 'on run argv' \
        -e 'if application (item 1 of argv) is running then' \
        -e 'ignoring application responses' \
        -e 'tell application (item 1 of argv) to quit' \
        -e 'end ignoring' \
        -e 'end if' \
        -e 'end run' \
        "$1" >/dev/null 2>&1
}

# Whether any app of FRONT still runs.
any_running() {
    local app
    for app in "${(@)FRONT}"; do
        list_running "$app"
        (( $#RUNNING == 0 )) || return 0
    done
    return 1
}

# Asks the apps in FRONT to quit, and waits for them.
quit_front() {
    local app
    for app in "${(@)FRONT}"; do
        quit_app "$app"
    done
    repeat $QUIT_SECONDS; do
        any_running || return 0
        $SLEEP 1
    done
}

# Returns once no app is in the way of an upgrade any more; exits where that is put off.
clear_the_way() {
    list_blocking
    find_in_front || return 0
    entry_key "$LABEL"
    APP_ENTRY=:$REPLY
    entry_key "$MINIMUM_ENFORCED_VERSION"
    ENTRY=$APP_ENTRY:$REPLY
    read_delay
    [[ $DELAY != pending ]] || exit 0
    local button=
    [[ $DELAY == over ]] || button='Delay 1 Hour'
    ask_user "$button"
    if [[ $ANSWER == delay ]]; then
        say 'User clicked Delay'
        write_delay && exit 0
        say 'The delay could not be written, so there is none'
        ask_user ''
    fi
    case $ANSWER in
        quit)
            say 'User clicked Quit'
            quit_front
            ;;
        none)
            say 'Nobody answered; the next audit asks again'
            exit 0
            ;;
        *)
            say 'Passing for now; the next audit tries again'
            exit 0
            ;;
    esac
}

upgrade() {
    check_count
    clear_the_way
    count_request
    say "Upgrading '$LABEL' to version '$MINIMUM_ENFORCED_VERSION'..."
    exit 1
}

upgrade
