# What both recorders of Vivado's commands share: refusals, JSON, and the words of a call.

proc refuse {message} {
    puts stderr "vivado recorder: $message"
    flush $::log
    ::real_exit 97
}

proc json {text} {
    return "\"[string map [list \\ \\\\ \" \\\" \n \\n \t \\t] $text]\""
}

# The options of a call as a dict of lists, and its positional words. In `options`, "-name=" takes a
# value.
proc parse {command words options} {
    set given {}
    set positional {}
    for {set n 0} {$n < [llength $words]} {incr n} {
        set word [lindex $words $n]
        if {![regexp {^-[a-z_]} $word]} {
            lappend positional $word
        } elseif {$word in $options} {
            dict lappend given $word 1
        } elseif {"$word=" in $options} {
            if {[incr n] >= [llength $words]} {
                refuse "$command: option $word needs a value"
            }
            dict lappend given $word [lindex $words $n]
        } else {
            refuse "$command: unknown option $word"
        }
    }
    return [list $given $positional]
}

# The last value of an option.
proc option {given name {otherwise ""}} {
    return [expr {[dict exists $given $name] ? [lindex [dict get $given $name] end] : $otherwise}]
}
