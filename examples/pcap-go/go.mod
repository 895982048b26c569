module example.org/pcap-go

go 1.19
