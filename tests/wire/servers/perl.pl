# A webhook of a few lines of Perl: it answers at once, reads little, and closes.
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die;
$| = 1;
print $server->sockport, "\n";
while (my $client = $server->accept) {
  while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
  print $client "HTTP/1.0 200 OK\nContent-Type: text/plain\n\nok\n";
  close $client;
}
