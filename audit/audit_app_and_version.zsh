#!/bin/zsh -f
#
# Audit script of a Kandji (Iru) Custom App, written by kandji-uploader.
#
# The Kandji agent runs it as root. Exit 1 makes the agent install the Custom App, exit 0 passes.
# - The app is looked for by its bundle id, then by its name; a package receipt counts where there is neither.
# - A Mac without it installs at once, or passes where only updates are wanted.
# - Once the deadline is over, a version lower than the one enforced is upgraded. If the app is in the foreground, its
#   user is asked to quit it first and may delay that once, for an hour. Other apps can be named to be asked about.
# - On a macOS lower than the one that is needed there is nothing to do.

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

# Where all tools and folders are looked up. Nothing but this line sets it: it is empty on a Mac, and kandji-uploader
# writes the folder of a simulated Mac here when it tries the script before upload.
PREFIX=''

emulate -R zsh
setopt extended_glob
PATH=/usr/bin:/bin:/usr/sbin:/sbin
IFS=$' \t\n'
# Names and versions are bytes here, and sort alike on every Mac; the tools keep the locale of the agent.
typeset +x LC_ALL=C

DATE=$PREFIX/bin/date
LSAPPINFO=$PREFIX/usr/bin/lsappinfo
MDFIND=$PREFIX/usr/bin/mdfind
OSASCRIPT=$PREFIX/usr/bin/osascript
PKGUTIL=$PREFIX/usr/sbin/pkgutil
PLIST_BUDDY=$PREFIX/usr/libexec/PlistBuddy
PLUTIL=$PREFIX/usr/bin/plutil
SLEEP=$PREFIX/bin/sleep
SW_VERS=$PREFIX/usr/bin/sw_vers

DELAY_PLIST=/Library/Preferences/io.kandji.enforcement.delay.plist
DELAY_SECONDS=3600
DIALOG_SECONDS=300
DIALOG_TRIES=3
QUIT_SECONDS=15

SEARCHED_FOLDERS=(/Applications /System/Applications /Library)
SEARCHED_LEVELS=5
# Only apps in these are ever asked to quit, since root asks; the last two are where Safari is on a newer macOS.
ASKED_FOLDERS=($SEARCHED_FOLDERS /System{,/Volumes/Preboot}/Cryptexes/App/System/Applications)
# Folders that are bundles: an app inside one is a helper of it, not the app that is meant.
BUNDLES='(app|appex|bundle|component|framework|kext|plugin|prefPane|qlgenerator|saver|sdk|systemextension|vst|vst3|xpc)'

FOLDERS=()
INSTALLED_PATH=
INSTALLED_VERSION=
BLOCKING=()
FRONT=()
FRONT_NAMES=()

# Prints a line as it is, whatever it holds.
say() {
    print -r -- "$1"
}

# Prints the value of a top-level key of a plist; fails where there is none. Arguments: plist, key.
plist_value() {
    $PLIST_BUDDY -c "Print :$2" "$PREFIX$1" 2>/dev/null
}

########## Finding ##########

# Sets `reply` to the paths given, the shortest first.
shortest_first() {
    local each
    local -a keyed
    for each in "$@"; do
        keyed+=("${(l:6::0:)${#each}}$each")
    done
    keyed=("${(@o)keyed}")
    reply=("${(@)keyed#??????}")
}

# Whether a path is where an installed app can be: in the searched folders, not too deep, in no other bundle.
in_reach() {
    local root inside
    local -a levels
    for root in $SEARCHED_FOLDERS; do
        [[ $1 == "$root"/* ]] || continue
        inside=${1#"$root"/}
        levels=("${(@s:/:)inside}")
        [[ $inside == *.app && $inside != *.$~BUNDLES/* ]] && (( $#levels <= SEARCHED_LEVELS ))
        return
    done
    return 1
}

# Sets `reply` to the apps that Spotlight has for a query and that are really there. The index may be off, or stale.
ask_spotlight() {
    local line
    local -a hits
    for line in "${(@f)$($MDFIND "$1" 2>/dev/null)}"; do
        line=${line#/System/Volumes/Data}
        in_reach "$line" && [[ -d $PREFIX$line ]] && hits+=("$line")
    done
    shortest_first "${(@)hits}"
}

# Sets FOLDERS to every folder that may hold apps, once. Starts no process.
list_folders() {
    (( $#FOLDERS )) && return
    local -a level
    level=($SEARCHED_FOLDERS)
    repeat $SEARCHED_LEVELS; do
        FOLDERS+=("${(@)level}")
        level=($PREFIX${^level}/^*.$~BUNDLES(NoN/))
        level=("${(@)level#"$PREFIX"}")
    done
}

# Whether an app has the bundle id that is meant; the whole id, and not as a pattern.
has_bundle_id() {
    [[ $(plist_value "$1/Contents/Info.plist" CFBundleIdentifier) == "$BUNDLE_ID" ]]
}

# Whether it is worth a process to read the app's Info.plist: a plain id stands in it as it is, in any plist format.
may_have_bundle_id() {
    local plist=$PREFIX$1/Contents/Info.plist
    [[ -f $plist ]] || return 1
    [[ $BUNDLE_ID != [A-Za-z0-9._-]## || $(<$plist) == *"$BUNDLE_ID"* ]]
}

find_by_bundle_id() {
    local app
    # An id with any other character in it could change what the query asks.
    if [[ $BUNDLE_ID == [A-Za-z0-9._-]## ]]; then
        ask_spotlight "kMDItemCFBundleIdentifier == '$BUNDLE_ID'"
        for app in "${(@)reply}"; do
            has_bundle_id "$app" && INSTALLED_PATH=$app && return
        done
    fi
    list_folders
    local -a apps
    apps=($PREFIX${^FOLDERS}/*.app(NoN-/))
    shortest_first "${(@)apps#"$PREFIX"}"
    for app in "${(@)reply}"; do
        may_have_bundle_id "$app" && has_bundle_id "$app" && INSTALLED_PATH=$app && return
    done
    return 1
}

find_by_name() {
    local name=$APP_NAME folder app
    [[ $name == *.app ]] || name+=.app
    [[ $name != */* ]] || return 1
    if [[ $name == [A-Za-z0-9\ ._-]## ]]; then
        ask_spotlight "kMDItemFSName == '$name'"
        for app in "${(@)reply}"; do
            [[ ${app:t} == "$name" ]] && INSTALLED_PATH=$app && return
        done
    fi
    list_folders
    local -a apps
    for folder in "${(@)FOLDERS}"; do
        # The file system is asked, so upper and lower case and accents count as they do there.
        [[ -d $PREFIX$folder/$name ]] && apps+=("$folder/$name")
    done
    shortest_first "${(@)apps}"
    INSTALLED_PATH=${reply[1]:-}
    [[ -n $INSTALLED_PATH ]]
}

# Sets INSTALLED_PATH and INSTALLED_VERSION ("" where it cannot be told); fails where the app is missing.
find_app() {
    [[ -n $BUNDLE_ID ]] && find_by_bundle_id || { [[ -n $APP_NAME ]] && find_by_name } || return 1
    local plist=$INSTALLED_PATH/Contents/Info.plist key
    for key in "${VERSION_KEY:-CFBundleShortVersionString}" CFBundleShortVersionString CFBundleVersion; do
        INSTALLED_VERSION=$(plist_value "$plist" "$key") && [[ -n $INSTALLED_VERSION ]] && return
    done
    INSTALLED_VERSION=
    return 0
}

# Sets INSTALLED_VERSION from the package's receipt; fails where there is none.
find_receipt() {
    local receipt
    receipt=$($PKGUTIL --pkg-info-plist "$PKG_ID" 2>/dev/null)
    [[ -n $receipt ]] || return 1
    INSTALLED_VERSION=$(print -r -- "$receipt" | $PLUTIL -extract pkg-version raw -o - - 2>/dev/null) ||
        INSTALLED_VERSION=
    return 0
}

# Exits where the software is missing.
check_install() {
    say "Checking for '$LABEL' install..."
    if [[ -n $BUNDLE_ID$APP_NAME ]]; then
        find_app && say "'$LABEL' installed at '$INSTALLED_PATH'" && return
    else
        find_receipt && say "'$LABEL' has a package receipt" && return
    fi
    if [[ $INSTALL_WHEN_MISSING == false ]]; then
        say "'$LABEL' not found. Only updates are wanted, so there is nothing to do"
        exit 0
    fi
    say "'$LABEL' not found. Triggering install..."
    exit 1
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

# Sets REPLY to -1, 0 or 1 as the first token is lower than, as good as, or higher than the second.
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
    NOW=$($DATE +%s)
    if [[ -z $MINIMUM_ENFORCED_VERSION || $NOW != <-> || $CREATION_TIMESTAMP != <-> || $#CREATION_TIMESTAMP -gt 13 ||
        $DAYS_UNTIL_ENFORCEMENT != <-> || $#DAYS_UNTIL_ENFORCEMENT -gt 5 ]]; then
        say 'This script has no version, no date or no delay that could be enforced'
        exit 0
    fi
    local -i due left
    (( due = 10#$CREATION_TIMESTAMP + 10#$DAYS_UNTIL_ENFORCEMENT * 86400, left = due - NOW ))
    local due_text
    due_text=$($DATE -r $due '+%Y-%m-%d %H:%M:%S %Z')
    if (( left > 0 )); then
        say "Update is due at $due_text"
        say "Will verify '$LABEL' running at least version '$MINIMUM_ENFORCED_VERSION' in $(( left / 86400 )) days,\
 $(time_of_day $(( left % 86400 )))"
        exit 0
    fi
    say "Enforcement was due at $due_text"
}

# Prints seconds as hours, minutes and seconds.
time_of_day() {
    printf '%d hours, %02d minutes, %02d seconds' $(( $1 / 3600 )) $(( $1 / 60 % 60 )) $(( $1 % 60 ))
}

########## The one delay per app and version ##########

# Prints a key as PlistBuddy reads it in the path of an entry.
entry_key() {
    local key=${1//[[:cntrl:]]/_}
    if [[ $key == *[\'\":\\]* ]]; then
        print -rn -- "${key//(#m)[\ \'\":\\]/\\$MATCH}"
    else
        print -rn -- "'$key'"
    fi
}

edit_delays() {
    $PLIST_BUDDY -c "$1" "$PREFIX$DELAY_PLIST" >/dev/null 2>&1
}

# Sets DELAY to `none`, `pending` or `over`.
read_delay() {
    local ends
    if ! ends=$($PLIST_BUDDY -c "Print $ENTRY" "$PREFIX$DELAY_PLIST" 2>/dev/null); then
        DELAY=none
        say "No enforcement delay found for $LABEL"
        return
    fi
    say "Enforcement delay present for $LABEL"
    # Whatever is no moment of the coming hour was not written as a delay, and is none.
    if [[ $ends == <-> && $#ends -le 13 ]] && (( NOW < ends && ends <= NOW + DELAY_SECONDS )); then
        DELAY=pending
        say "User delay still pending; enforcing version $MINIMUM_ENFORCED_VERSION for $LABEL in\
 $(time_of_day $(( ends - NOW )))"
        return
    fi
    DELAY=over
    say "Enforcement delay has expired for $LABEL $MINIMUM_ENFORCED_VERSION"
}

# Adds the entry and reads it again.
add_delay() {
    edit_delays "Add $APP_ENTRY dict"
    edit_delays "Add $ENTRY integer $1"
    [[ $($PLIST_BUDDY -c "Print $ENTRY" "$PREFIX$DELAY_PLIST" 2>/dev/null) == "$1" ]]
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
    NOW=$($DATE +%s)
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
    local root folder=$1
    for root in $ASKED_FOLDERS; do
        [[ $1 == "$root"/* && $1/ != */../* && -d $PREFIX$1 ]] || continue
        while [[ $folder != "$root" ]]; do
            folder=${folder:h}
            [[ -z $PREFIX$folder(#qNf:o+w:) ]] || return 1
        done
        return
    done
    return 1
}

# Sets BLOCKING to the paths of the apps that are in the way while they run. What an app calls itself stands in the list
# as it is, and could look like the lines of another app: whether one really runs is asked again, by its path.
list_blocking() {
    BLOCKING=()
    if [[ -z $BLOCKING_APPLICATIONS ]]; then
        # A package without an app has nothing of its own that could be in use.
        [[ -z $INSTALLED_PATH ]] || BLOCKING=("$INSTALLED_PATH")
        return
    fi
    local -aU named
    local -a names
    names=("${(@s.:.)BLOCKING_APPLICATIONS}")
    names=("${(@)names:#}")
    (( $#names )) || return 0
    local line value bundle= executable name
    for line in "${(@f)$($LSAPPINFO list 2>/dev/null)}"; do
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
    RUNNING=($($LSAPPINFO find bundlepath="$1" 2>/dev/null))
    RUNNING=(${RUNNING:#(\[|NULL|\])})
}

# Whether an app runs in the foreground; sets DISPLAY_NAME and RUNNING. Argument: its path.
in_foreground() {
    local copy kind name
    list_running "$1"
    for copy in $RUNNING; do
        kind=$($LSAPPINFO info "$copy" -only ApplicationType 2>/dev/null)
        [[ $kind == *'"ApplicationType"="Foreground"'* ]] || continue
        name=$($LSAPPINFO info "$copy" -only LSDisplayName 2>/dev/null)
        if [[ $name == (#b)*'"LSDisplayName"="'([^$'\n']##)\"* ]]; then
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

# Shows the dialog. What names the app goes to AppleScript as arguments, none of which starts with a dash. By itself
# AppleScript would give up after two minutes, before the dialog does, and leave it open.
# Arguments: text, the button for a delay or "".
show_dialog() {
    $OSASCRIPT \
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
    APP_ENTRY=:$(entry_key "$LABEL")
    ENTRY=$APP_ENTRY:$(entry_key "$MINIMUM_ENFORCED_VERSION")
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

# Exits where this Mac's macOS is older than the software needs. A Mac that does not tell counts as new enough.
check_macos() {
    [[ -n $MINIMUM_OS_VERSION ]] || return 0
    local macos
    macos=$($SW_VERS -productVersion 2>/dev/null)
    [[ $macos == [0-9]##(.[0-9]##)# ]] || return 0
    compare_versions "$macos" "$MINIMUM_OS_VERSION"
    (( REPLY < 0 )) || return 0
    say "'$LABEL' needs macOS $MINIMUM_OS_VERSION and this Mac has $macos, so there is nothing to do"
    exit 0
}

# Exits: 0 where the version is high enough, 1 for an upgrade.
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
    clear_the_way
    say "Upgrading '$LABEL' to version '$MINIMUM_ENFORCED_VERSION'..."
    exit 1
}

main() {
    LABEL=${APP_NAME:-${BUNDLE_ID:-$PKG_ID}}
    if [[ -z $LABEL ]]; then
        say 'This script names no app and no package, so there is nothing to check'
        exit 0
    fi
    check_macos
    check_install
    check_deadline
    check_version
}

main
