# An SSH agent's socket in a container: passes requests on to whoever reads the standard output, and answers back from the
# standard input. Both are as on a socket, a length of four bytes and so many more. An empty one says that it listens.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;

my $path = shift;
umask 0077;
my $listener = IO::Socket::UNIX->new(Local => $path, Listen => 16) or die "$path: $!\n";

sub take {
    my ($from, $count) = @_;
    my $bytes = '';
    while (length $bytes < $count) {
        sysread($from, $bytes, $count - length $bytes, length $bytes) or return undef;
    }
    return $bytes;
}

sub message {
    my $from = shift;
    my $head = take($from, 4) // return undef;
    my $length = unpack 'N', $head;
    return undef if $length > 256 * 1024;
    return $head . (take($from, $length) // return undef);
}

sub give {
    my ($to, $bytes) = @_;
    while (length $bytes) {
        my $count = syswrite($to, $bytes) or return 0;
        substr($bytes, 0, $count, '');
    }
    return 1;
}

$SIG{PIPE} = 'IGNORE';
give(*STDOUT, pack 'N', 0) or exit;
my $waiting = IO::Select->new($listener, *STDIN);
while (my @ready = $waiting->can_read) {
    for my $socket (@ready) {
        # Nobody answers what was not asked: it is the end.
        exit if $socket == *STDIN;
        if ($socket == $listener) {
            my $client = $listener->accept or next;
            $waiting->add($client);
            next;
        }
        my $request = message($socket);
        my $answered = defined $request && do {
            give(*STDOUT, $request) or exit;
            give($socket, message(*STDIN) // exit);
        };
        if (!$answered) {
            $waiting->remove($socket);
            close $socket;
        }
    }
}
